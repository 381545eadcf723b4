package kube

import (
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Custom is an object of a kind that a custom resource definition brings. It says for itself what of it is not modelled.
type Custom interface {
	Object
	Refuse() error
}

func refuseIngress(s *networkingv1.IngressSpec) error {
	if err := engine.Only(s, "IngressClassName", "DefaultBackend", "Rules"); err != nil {
		return err
	}
	backend := func(b *networkingv1.IngressBackend) error {
		if b.Service == nil {
			return engine.NotModelled("a backend that is no Service")
		}
		return nil
	}
	if s.DefaultBackend != nil {
		if err := backend(s.DefaultBackend); err != nil {
			return err
		}
	}
	for i := range s.Rules {
		if s.Rules[i].HTTP == nil {
			continue
		}
		for j := range s.Rules[i].HTTP.Paths {
			if err := backend(&s.Rules[i].HTTP.Paths[j].Backend); err != nil {
				return err
			}
		}
	}
	return nil
}
