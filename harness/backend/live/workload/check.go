//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// check asks each target once, as a load balancer's health checker does, and writes one line for each.
//
//	check -from ADDRESS [-path /healthz -port PORT] TARGET...
func check(args []string) error {
	f := flag.NewFlagSet("check", flag.ContinueOnError)
	from := f.String("from", "", "address to check from")
	path := f.String("path", "", "ask for this by HTTP; empty opens a connection and closes it")
	port := f.Int("port", 0, "port to check; 0 is the target's")
	timeout := f.Duration("timeout", 10*time.Second, "of one check")
	if err := f.Parse(args); err != nil {
		return err
	}
	local := net.ParseIP(*from)
	if local == nil {
		return fmt.Errorf("-from %q is no address", *from)
	}
	type answer struct {
		Target string `json:"target"`
		OK     bool   `json:"ok"`
		Reason string `json:"reason,omitempty"`
	}
	answers := make([]answer, f.NArg())
	var all sync.WaitGroup
	for i, target := range f.Args() {
		all.Go(func() {
			answers[i].Target = target
			to := target
			if *port != 0 {
				host, _, _ := net.SplitHostPort(target)
				to = net.JoinHostPort(host, fmt.Sprint(*port))
			}
			ctx, cancel := context.WithTimeout(context.Background(), *timeout)
			defer cancel()
			if err := ask(ctx, local, to, *path); err != nil {
				answers[i].Reason = err.Error()
			} else {
				answers[i].OK = true
			}
		})
	}
	all.Wait()
	out := json.NewEncoder(os.Stdout)
	for _, a := range answers {
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

func ask(ctx context.Context, from net.IP, to, path string) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	if path == "" {
		c, err := dialer.DialContext(ctx, "tcp4", to)
		if err != nil {
			return err
		}
		return c.Close()
	}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+to+path, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return errors.New(response.Status)
	}
	return nil
}
