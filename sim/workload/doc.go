// Package workload is the programs that run in containers, by the name of their image, and the commands that people run in them.
//
// Models: web servers (nginx, the page of docker-2048, ekslab's own image) with keep-alive connections and their time limits, requests that take time,
// statuses by path; how they end: by SIGQUIT nginx closes its port and what is idle and finishes what is in hand, by SIGTERM it ends at once; a shell
// that waits (netshoot); commands of hooks and probes (sleep, true, false, nginx -s, kill, alone or in a
// script); and curl: names with several addresses, connect
// limits, the next address when one fails.
// Does not model: request bodies, pipelining, TLS; any other image; asking for one returns engine.ErrNotModelled.
//
// A manifest says by environment variables of the container how its web server behaves; on a real cluster the same variables are read by the program
// that stands for nginx there (a plain nginx does not know them):
//
//	EKSLAB_SERVER               the Server header of answers
//	EKSLAB_STATUS               statuses by path, such as /healthz=500,/old=404
//	EKSLAB_REQUEST_SECONDS      how long each request takes
//	EKSLAB_STOP_SECONDS         how long it needs to end after its stop signal, with its port closed
//	EKSLAB_IGNORE_STOP_SIGNAL   true: it goes on as if nothing had happened
//	EKSLAB_IDLE_SECONDS         how long a connection without a request is kept
//
// Sources: nginx src/http, src/os/unix/ngx_process_cycle.c; nginxinc/docker-nginx; curl lib/.
package workload
