//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"
)

// client makes calls at an interval, each as one run of curl, and writes a line of JSON when one ends. Times are nanoseconds of the wall clock, so that
// they can be held against captures.
func client(args []string) error {
	f := flag.NewFlagSet("client", flag.ContinueOnError)
	var c curl
	f.StringVar(&c.host, "host", "", "name to call")
	port := f.Uint("port", 80, "port to call")
	count := f.Int("count", 1, "how many calls")
	every := f.Duration("every", time.Second, "between the beginnings of two calls")
	f.DurationVar(&c.maxTime, "max-time", 0, "of one call; 0 is none")
	f.StringVar(&c.fallback, "fallback", "sequential", "what to do about the other addresses of the name: sequential, parallel, none")
	if err := f.Parse(args); err != nil {
		return err
	}
	if c.host == "" || *count < 1 || *port == 0 || *port > 65535 {
		return errors.New("-host, -port and -count are needed")
	}
	switch c.fallback {
	case "sequential", "parallel", "none":
	default:
		return fmt.Errorf("-fallback %q is not known", c.fallback)
	}
	c.port = uint16(*port)
	results := make(chan *result)
	var all sync.WaitGroup
	began := time.Now()
	go func() {
		for k := range *count {
			time.Sleep(time.Until(began.Add(time.Duration(k) * *every)))
			all.Go(func() { results <- c.run(k) })
		}
		all.Wait()
		close(results)
	}()
	out := json.NewEncoder(os.Stdout)
	for r := range results {
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// result is what `curl -v -w` would tell of one call.
type result struct {
	Call     int       `json:"call"`
	Began    int64     `json:"began"`
	Ended    int64     `json:"ended"`
	HTTP     int       `json:"http"`
	Exit     int       `json:"exit"`
	Message  string    `json:"message,omitempty"`
	Attempts []attempt `json:"attempts"`
}

// attempt is one connection that a call opened.
type attempt struct {
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote"`
	Began  int64  `json:"began"`
	Ended  int64  `json:"ended"`
	// Error is the kernel's word, such as ETIMEDOUT, or GAVEUP when curl's own limits ended it.
	Error string `json:"error,omitempty"`
}
