// Package workload is the programs that run in containers, by the name of their image, and the commands that people run in them.
//
// Models: a web server that answers every request with its welcome page (nginx), a shell that waits (netshoot), and curl: names with several
// addresses, connect limits, the next address when one fails.
// Does not model: any other image; asking for one returns engine.ErrNotModelled.
package workload
