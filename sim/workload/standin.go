package workload

// StandIn is what runs in place of a program that nobody here knows: a web server on the ports that the container names, which answers 200 on every
// path and ends at once when it is asked to. What its environment says of it counts (see Env...). A container without ports does nothing.
func StandIn(c Container) error {
	var ports []uint16
	for _, p := range c.Spec.Ports {
		if p.Protocol != "UDP" {
			ports = append(ports, uint16(p.ContainerPort))
		}
	}
	_, tag := split(c.Spec.Image)
	server := "stand-in"
	if tag != "" {
		server += "/" + tag
	}
	own := *c.Spec
	own.Command, own.Args = nil, nil // the program's, not ours
	c.Spec = &own
	return Nginx{Server: server, StopSignal: SIGTERM, Ports: ports, NoPorts: len(ports) == 0, AnyPath: true}.start(c)
}

// AddStandIn has StandIn run wherever an image is not known.
func (im Images) AddStandIn() { im[anyImage] = StandIn }

// anyImage is the key of what runs for images that have none.
const anyImage = "*"
