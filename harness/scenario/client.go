package scenario

import "time"

// Client is one item of a scenario's load: a pod, or a host on the internet, that calls something again and again.
type Client struct {
	// Name of the load, by which a report tells it from others.
	Name string `yaml:"name"`
	// When the first call starts, counted from the moment the world has settled.
	At time.Duration `yaml:"at,omitempty"`
	// The pod that calls, as namespace/name; a host on the internet if left out.
	Pod string `yaml:"pod,omitempty"`
	// How many calls there are.
	Count int `yaml:"count" min:"1"`
	// How calls follow each other. openLoop, if left out: call k starts at k times every, whether or not earlier calls are done. serial: a loop of
	// "sleep; curl". keepAlive: one curl with many URLs over one connection, call k at k times every, or when the one before is done.
	Pace string `yaml:"pace,omitempty" enum:"openLoop,serial,keepAlive"`
	// What pace says of it.
	Every time.Duration `yaml:"every"`
	// Each call is one run of curl.
	Curl *Curl `yaml:"curl"`

	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// Curl is a call that behaves as one run of curl does.
type Curl struct {
	// The Service that is called, as namespace/name.
	Service string `yaml:"service,omitempty"`
	// The Ingress whose load balancer is called, as namespace/name, in place of a Service.
	Ingress string `yaml:"ingress,omitempty"`
	// By which of the Service's names: its load balancer's, or its own, which resolves to the cluster IP.
	Address string `yaml:"address" enum:"loadBalancer,clusterIP"`
	// GET, if left out, or HEAD, which is curl -I.
	Method string `yaml:"method,omitempty" enum:"GET,HEAD"`
	// Path of the URL; / if left out.
	Path string `yaml:"path,omitempty"`
	// --max-time; 0 leaves curl's own limits.
	MaxTime time.Duration `yaml:"maxTime,omitempty"`
	// The name's next address: sequential after the last one failed, parallel 200 ms after the last one began, or none.
	Fallback string `yaml:"fallback" enum:"sequential,parallel,none"`
}

func (c *Client) setPlace(at place) { c.File, c.Line = at.file, at.line }

func (c *Curl) complaint() string {
	switch {
	case c.Service == "" && c.Ingress == "":
		return `says not what is called: "service" or "ingress" is needed`
	case c.Service != "" && c.Ingress != "":
		return `has both "service" and "ingress"; one is called`
	case c.Ingress != "" && c.Address == "clusterIP":
		return "has an Ingress, which has no cluster IP"
	case c.Path != "" && c.Path[0] != '/':
		return "has a path that does not begin with /"
	}
	return ""
}
