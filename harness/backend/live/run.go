package live

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/backend/live/process"
	"github.com/ekslab/ekslab/harness/backend/live/tap"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

//go:embed workload/*.go
var workloadFiles embed.FS

// cleanTimeout bounds the removal of what a run has made, which goes on when the run was interrupted.
const cleanTimeout = 2 * time.Minute

// run is one run of a plan, from nothing to nothing.
type run struct {
	b     *Backend
	plan  *scenario.Plan
	opts  backend.Options
	id    string
	owner string
	dir   string

	t        *topology
	cluster  *cluster
	router   string
	workload *Workload
	images   map[string]string
	aws      *account
	balancer *balancer
	client   corev1.Pod

	setup  []string
	began  time.Time
	events events
}

// Run makes the world, makes the calls in it, and removes it again whatever happens.
func (b *Backend) Run(ctx context.Context, plan *scenario.Plan, opts backend.Options) (rec *observe.Recording, err error) {
	select {
	case b.running <- struct{}{}:
		defer func() { <-b.running }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := b.Check(ctx, plan); err != nil {
		return nil, err
	}
	if !b.swept.Swap(true) {
		if _, err := b.Clean(ctx); err != nil {
			return nil, err
		}
	}
	r := &run{b: b, plan: plan, opts: opts, id: newRunID(), owner: process.Self(), images: map[string]string{}, began: time.Now()}
	r.dir = folder(b.opts.TempDir, r.id)
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		r.note("removing what was made")
		if ctx.Err() == nil {
			r.keep(clean, err != nil)
		}
		if e := b.cleanRun(clean, r.id, ctx.Err() != nil); e != nil {
			err = errors.Join(err, fmt.Errorf("cleaning up: %w; `ekslab doctor --clean` tries again", e))
		}
	}()
	// Who owns the run is on record before anything is made, and in the place where it belongs at once.
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(r.dir, ownerFile), []byte(r.owner), 0o600); err != nil {
		return nil, err
	}
	return r.run(ctx)
}

// name is a name of the run's own.
func (r *run) name(part string) string { return prefix + r.id + part }

// note tells what is being done.
func (r *run) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.events.add(time.Now(), "harness", text)
	r.b.opts.Log.Info(text, "run", r.id, "after", time.Since(r.began).Round(time.Millisecond))
	if r.opts.Progress != nil {
		r.opts.Progress(0, 0, text)
	}
}

func (r *run) run(ctx context.Context) (*observe.Recording, error) {
	if err := r.build(ctx); err != nil {
		return nil, err
	}
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	return r.drive(ctx)
}

// build makes the cluster, the router and the AWS account, side by side.
func (r *run) build(ctx context.Context) error {
	var err error
	if r.t, err = topologyOf(&r.plan.World); err != nil {
		return err
	}
	image := map[ImageName]Image{}
	for _, name := range usedImages {
		r.note("looking for the %s image", name)
		if image[name], err = r.b.images.Resolve(ctx, name); err != nil {
			return err
		}
		r.images[string(name)] = image[name].String()
	}
	r.note("making a cluster of %d workers", len(r.t.nodes))
	network := r.name("")
	if _, err := r.b.output(ctx, append(append([]string{"network", "create"}, labels(r.id, r.owner)...), network)...); err != nil {
		return fmt.Errorf("a network for the cluster: %w", err)
	}
	if err := r.apart(ctx, network); err != nil {
		return err
	}
	// One that fails ends the others.
	together, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var errs [4]error
	side := func(i int, f func(context.Context) error) {
		all.Go(func() {
			if errs[i] = f(together); errs[i] != nil {
				cancel()
			}
		})
	}
	side(0, func(ctx context.Context) (err error) {
		r.cluster, err = createCluster(ctx, r.b.opts.Docker, r.name(""), network, image[NodeImage].Ref, r.dir, r.t)
		return err
	})
	side(1, func(ctx context.Context) (err error) {
		r.router, err = startRouter(ctx, r.b.opts.Docker, r.id, r.owner, image[ToolsImage].Ref)
		return err
	})
	side(2, func(ctx context.Context) (err error) {
		sources, err := fs.Sub(workloadFiles, "workload")
		if err == nil {
			r.workload, err = BuildWorkload(ctx, sources, "")
		}
		return err
	})
	side(3, func(ctx context.Context) (err error) {
		r.aws, err = openAccount(ctx, r.id, r.owner, image[LocalStackImage].Ref, r.plan.World.Region)
		return err
	})
	all.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var real []error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			real = append(real, err)
		}
	}
	if err := errors.Join(real...); err != nil {
		return err
	}
	r.images[string(WorkloadImage)] = r.workload.String()
	for _, o := range r.plan.Objects {
		if spec := podSpec(o.Value); spec != nil {
			for _, c := range spec.Containers {
				r.images[c.Image] = "replaced by " + r.workload.Ref
			}
		}
	}
	return nil
}

// apart holds that Docker did not give the network addresses that the world has.
func (r *run) apart(ctx context.Context, network string) error {
	out, err := r.b.output(ctx, "network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}", network)
	if err != nil {
		return err
	}
	for _, f := range strings.Fields(string(out)) {
		p, err := netip.ParsePrefix(f)
		if err != nil {
			continue
		}
		if p.Overlaps(r.t.vpc) || p.Overlaps(r.t.service) {
			return fmt.Errorf("the network that Docker gave is %v, and the scenario's VPC or Services use it; free a range in Docker's default-address-pools (docker network prune)", p)
		}
	}
	return nil
}

// settle brings the world up to the point where the timeline and the load begin.
func (r *run) settle(ctx context.Context) error {
	r.note("joining the nodes to the router")
	if err := r.t.connect(ctx, r.cluster, r.router); err != nil {
		return err
	}
	if err := r.proxyAsInEKS(ctx); err != nil {
		return err
	}
	r.note("loading %s", r.workload.Ref)
	if err := r.t.each(func(n *node) error { return r.cluster.loadImage(ctx, n.container, r.workload) }); err != nil {
		return err
	}
	if err := r.cluster.copyProgram(ctx, r.router, r.workload); err != nil {
		return err
	}
	r.note("applying the manifests")
	if err := r.cluster.apply(ctx, r.plan.Objects, r.workload.Ref); err != nil {
		return err
	}
	for _, o := range r.plan.Objects {
		svc, ok := o.Value.(*corev1.Service)
		if !ok || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		var stored corev1.Service
		if err := r.cluster.get(ctx, &stored, "service", svc.Name, "-n", svc.Namespace); err != nil {
			return err
		}
		r.balancer = newBalancer(r.cluster, r.router, r.t, r.opts.Seed, &r.plan.World, &stored)
		r.note("waiting for the health of the targets")
		if err := r.balancer.settle(ctx); err != nil {
			return err
		}
		if err := r.balancer.publish(ctx); err != nil {
			return err
		}
	}
	for _, a := range r.plan.Timeline {
		attributes := a.ModifyTargetGroupAttributes
		if attributes == nil {
			attributes = a.ModifyLoadBalancerAttributes
		}
		r.note("%s %v", a.Verb(), attributes.Attributes)
		if err := r.balancer.modify(ctx, attributes.Attributes); err != nil {
			return err
		}
	}
	if err := r.t.each(func(n *node) error { _, err := r.cluster.sh(ctx, n.container, r.t.podSettings()); return err }); err != nil {
		return err
	}
	r.note("making the VPC in LocalStack")
	if err := r.aws.makeVPC(ctx, &r.plan.World); err != nil || r.balancer == nil {
		return err
	}
	return r.aws.makeLoadBalancer(ctx, r.balancer)
}

// proxyAsInEKS holds that kube-proxy knows of no range of pods, as in EKS.
func (r *run) proxyAsInEKS(ctx context.Context) error {
	var config corev1.ConfigMap
	if err := r.cluster.get(ctx, &config, "-n", "kube-system", "configmap", "kube-proxy"); err != nil {
		return err
	}
	for line := range strings.Lines(config.Data["config.conf"]) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "clusterCIDR:"); ok && strings.Trim(v, ` "`) != "" {
			return fmt.Errorf("kube-proxy has clusterCIDR %s; EKS sets none", strings.TrimSpace(v))
		}
	}
	return nil
}

// drive makes the calls and says what was observed.
func (r *run) drive(ctx context.Context) (*observe.Recording, error) {
	l := &r.plan.Load[0]
	namespace, pod := cutKey(l.Pod)
	if err := r.cluster.get(ctx, &r.client, "pod", pod, "-n", namespace); err != nil {
		return nil, err
	}
	var svc corev1.Service
	serviceNamespace, serviceName := cutKey(l.Curl.Service)
	if err := r.cluster.get(ctx, &svc, "service", serviceName, "-n", serviceNamespace); err != nil {
		return nil, err
	}
	s, host, err := r.scene(ctx, l, &svc)
	if err != nil {
		return nil, err
	}
	captures, err := r.taps(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := captures.start(ctx); err != nil {
		return nil, err
	}
	watching, stopWatching := context.WithCancel(ctx)
	var watched sync.WaitGroup
	if r.balancer != nil {
		watched.Go(func() { r.balancer.watch(watching) })
	}
	bucket := make(chan error, 1)
	go func() { bucket <- r.aws.makeBucket(ctx, r.name("")) }() // there is time for it during the calls
	s.epoch = time.Now()
	r.note("calling http://%s:%d/", host, s.port)
	lines, loadErr := r.cluster.load(ctx, l, host, s.port, func(done int) {
		if r.opts.Progress != nil {
			r.opts.Progress(done, l.Count, "calls")
		}
	})
	interrupted := ctx.Err() != nil
	stopWatching()
	watched.Wait()
	// What was seen until an interrupt is still worth having; fetching it takes a moment and no more.
	after := ctx
	if interrupted {
		var cancel context.CancelFunc
		after, cancel = context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
	} else {
		select {
		case <-time.After(settleCaptures):
		case <-ctx.Done():
		}
	}
	r.events.add(time.Now(), "harness", fmt.Sprintf("%d of %d calls have ended", len(lines), l.Count))
	packets, files, err := captures.stop(after, r.dir)
	if err := errors.Join(loadErr, err); err != nil {
		return nil, err
	}
	slices.SortFunc(lines, func(a, b callLine) int { return a.Call - b.Call })
	rec, err := r.record(after, s, l, lines, packets)
	if err != nil {
		return nil, err
	}
	rec.Interrupted = interrupted
	if !interrupted {
		r.note("keeping captures and result in LocalStack's S3")
		if err := <-bucket; err != nil {
			return nil, err
		}
		if err := r.archive(ctx, rec, lines, files); err != nil {
			return nil, err
		}
	}
	if r.opts.Pcap != nil {
		if err := tap.Write(r.opts.Pcap, packets); err != nil {
			return nil, err
		}
	}
	if r.opts.Trace != nil {
		if err := r.writeTrace(after, packets, lines); err != nil {
			return nil, err
		}
	}
	rec.Setup, rec.Images = r.setup, r.images
	return rec, nil
}

func cutKey(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}
