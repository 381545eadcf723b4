package scenario

import "time"

// Client is one item of a scenario's load: a pod that calls something again and again.
type Client struct {
	// Name of the load, by which a report tells it from others.
	Name string `yaml:"name"`
	// When the first call starts, counted from the moment the world has settled.
	At time.Duration `yaml:"at,omitempty"`
	// The pod that calls, as namespace/name.
	Pod string `yaml:"pod"`
	// How many calls there are.
	Count int `yaml:"count" min:"1"`
	// Call k starts at k times this, whether or not earlier calls are done.
	Every time.Duration `yaml:"every"`
	// Each call is one run of curl.
	Curl *Curl `yaml:"curl"`

	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// Curl is a call that behaves as one run of curl does.
type Curl struct {
	// The Service that is called, as namespace/name.
	Service string `yaml:"service"`
	// By which of the Service's names: its load balancer's, or its own, which resolves to the cluster IP.
	Address string `yaml:"address" enum:"loadBalancer,clusterIP"`
	// --max-time; 0 leaves curl's own limits.
	MaxTime time.Duration `yaml:"maxTime,omitempty"`
	// The name's next address: sequential after the last one failed, parallel 200 ms after the last one began, or none.
	Fallback string `yaml:"fallback" enum:"sequential,parallel,none"`
}

func (c *Client) setPlace(at place) { c.File, c.Line = at.file, at.line }
