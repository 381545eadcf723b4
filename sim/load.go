package sim

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
	"github.com/ekslab/ekslab/sim/workload"
)

// LoadRun is a load as it goes on.
type LoadRun struct {
	Load
	// Client is the pod that runs the commands; nil before the first one.
	Client *kubelet.Pod
	// Results by number, nil for runs that have not ended.
	Results []*workload.Result
	Begun   int
	Ended   int
	// Host and Port are what is called.
	Host string
	Port uint16
	// NodePort of the Service that is called, zero if it has none.
	NodePort uint16

	world *World
}

// Done says whether all runs have ended.
func (r *LoadRun) Done() bool { return r.Ended == r.Count }

func key(s string) kube.Key {
	namespace, name, _ := strings.Cut(s, "/")
	return kube.Key{Namespace: namespace, Name: name}
}

// Start schedules a load.
func (w *World) Start(l Load) *LoadRun {
	r := &LoadRun{Load: l, Results: make([]*workload.Result, l.Count), world: w}
	w.Loads = append(w.Loads, r)
	w.Engine.At(l.At, "load: "+l.Name, r)
	return r
}

// Done says whether all loads have ended.
func (w *World) Done() bool {
	for _, r := range w.Loads {
		if !r.Done() {
			return false
		}
	}
	return true
}

// prepare finds the pod and the address.
func (r *LoadRun) prepare() error {
	w := r.world
	r.Client = w.Kubelets.Running(key(r.Pod))
	if r.Client == nil {
		why := "there is no such pod"
		if p, err := kube.Get[*corev1.Pod](w.operator, key(r.Pod)); err == nil {
			why = string(p.Status.Phase)
			for _, c := range p.Status.Conditions {
				if c.Status == corev1.ConditionFalse {
					why += ": " + c.Message
				}
			}
		}
		return fmt.Errorf("load %s: pod %s does not run: %s", r.Name, r.Pod, why)
	}
	svc, err := kube.Get[*corev1.Service](w.operator, key(r.Service))
	if err != nil {
		return fmt.Errorf("load %s: %w", r.Name, err)
	}
	r.Port = uint16(svc.Spec.Ports[0].Port)
	r.NodePort = uint16(svc.Spec.Ports[0].NodePort)
	r.Host = svc.Name + "." + svc.Namespace + ".svc.cluster.local"
	if r.ByClusterIP {
		if r.Client.Shared { // no search list and no cluster DNS in a pod with hostNetwork
			r.Host = svc.Spec.ClusterIP
		}
		return nil
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return fmt.Errorf("load %s: Service %s has no load balancer after %v", r.Name, r.Service, w.Engine.Now())
	}
	r.Host = svc.Status.LoadBalancer.Ingress[0].Hostname
	return nil
}

// Fire starts the next run. The engine calls it.
func (r *LoadRun) Fire() {
	w := r.world
	if r.Begun == 0 {
		if err := r.prepare(); err != nil {
			w.Engine.Fail(err)
			return
		}
	}
	i := r.Begun
	r.Begun++
	w.Engine.SetCause(0)
	if r.Begun < r.Count {
		w.Engine.After(r.Every, "load", r)
	}
	who := r.Client.Object.Namespace + "/" + r.Client.Object.Name
	w.Engine.Go("curl", func(p *engine.Process) {
		c := workload.Curl{Host: r.Host, Port: r.Port, MaxTime: r.MaxTime, Fallback: workload.Fallback(r.Fallback)}
		r.Results[i] = c.Run(p, w.Log, who, r.Client.Namespace, r.Client.Resolv)
		r.Ended++
	})
}

// LoadBalancerOf is the load balancer of a Service, as its status names it, or nil.
func (w *World) LoadBalancerOf(service string) (addrs []netip.Addr, name string) {
	svc, err := kube.Get[*corev1.Service](w.operator, key(service))
	if err != nil || len(svc.Status.LoadBalancer.Ingress) == 0 {
		return nil, ""
	}
	for _, lb := range w.ELB.LoadBalancers() {
		if lb.DNSName == svc.Status.LoadBalancer.Ingress[0].Hostname {
			for _, n := range lb.Nodes {
				addrs = append(addrs, n.Addr)
			}
			return addrs, lb.Name
		}
	}
	return nil, ""
}
