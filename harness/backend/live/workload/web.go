//go:build linux

package main

import (
	"flag"
	"net/http"
	"strings"
)

// web answers every request with a page, as the default site of a web server does.
func web(args []string) error {
	f := flag.NewFlagSet("web", flag.ContinueOnError)
	listen := f.String("listen", ":80", "address")
	if err := f.Parse(args); err != nil {
		return err
	}
	page := "<html><head><title>It works</title></head><body>" + strings.Repeat("It works. ", 54) + "</body></html>\n"
	return http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page))
	}))
}
