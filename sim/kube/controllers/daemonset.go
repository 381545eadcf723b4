package controllers

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// DaemonSets keeps a pod of each DaemonSet on each node, and replaces pods of an old template, as many at a time as maxUnavailable allows. It works node by
// node, so that a change of one costs the same however many there are.
type DaemonSets struct {
	client *kube.Client
	sets   *kube.Informer[*appsv1.DaemonSet]
	nodes  *kube.Informer[*corev1.Node]
	queue  *kube.Queue
	state  map[kube.Key]*daemon
	random *rand.Rand
}

// daemon is what the controller knows of a DaemonSet.
type daemon struct {
	hash  string
	nodes map[string]*daemonPod
	// waiting are the nodes whose pod is to be replaced, in the order of their turn.
	waiting     []string
	unavailable int
	status      bool // a write of the status is due
}

// daemonPod is the pod of a node.
type daemonPod struct {
	key       kube.Key // empty while there is none
	hash      string
	available bool
	deleting  bool
	wanted    bool
}

// statusPeriod is how long writes of a DaemonSet's status are put off, so that one write tells of many pods.
const statusPeriod = time.Second

// NewDaemonSets starts the daemonset controller.
func NewDaemonSets(c *kube.Cluster, sets *kube.Informer[*appsv1.DaemonSet], pods *kube.Informer[*corev1.Pod], nodes *kube.Informer[*corev1.Node]) *DaemonSets {
	d := &DaemonSets{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:daemon-set-controller"}), sets: sets, nodes: nodes, state: map[kube.Key]*daemon{},
		random: c.Engine().Rand("daemonset-controller")}
	d.queue = kube.NewQueue(c.Engine(), "daemonset-controller", kube.ControllerBackoff, d.reconcile)
	sets.Handle(func(_, now *appsv1.DaemonSet) {
		if now != nil {
			d.template(now)
		}
	})
	nodes.Handle(func(old, now *corev1.Node) {
		if (old == nil) != (now == nil) {
			for _, ds := range sets.List() {
				d.node(ds, old, now)
			}
		}
	})
	pods.Handle(func(old, now *corev1.Pod) {
		p := now
		if p == nil {
			p = old
		}
		if o := metav1.GetControllerOf(p); o != nil && o.Kind == "DaemonSet" {
			d.pod(kube.Key{Namespace: p.Namespace, Name: o.Name}, p, now == nil)
		}
	})
	return d
}

// work is the key of a node's turn: the DaemonSet in the place of the namespace.
func work(ds kube.Key, node string) kube.Key { return kube.Key{Namespace: ds.String(), Name: node} }

// template looks at what a DaemonSet asks for now.
func (d *DaemonSets) template(ds *appsv1.DaemonSet) {
	k := kube.KeyOf(ds)
	st := d.state[k]
	hash := hashOf(&ds.Spec.Template)
	if st == nil {
		st = &daemon{hash: hash, nodes: map[string]*daemonPod{}}
		d.state[k] = st
		for _, n := range d.nodes.List() {
			d.node(ds, nil, n)
		}
		return
	}
	if st.hash == hash {
		return
	}
	st.hash, st.waiting = hash, nil
	for _, n := range d.nodes.List() {
		if st.nodes[n.Name] != nil {
			st.waiting = append(st.waiting, n.Name)
		}
	}
	// The controller walks a map of nodes.
	d.random.Shuffle(len(st.waiting), func(i, j int) { st.waiting[i], st.waiting[j] = st.waiting[j], st.waiting[i] })
	d.queue.Add(work(k, ""))
}

// hashOf stands for a template, as the label controller-revision-hash does.
func hashOf(t *corev1.PodTemplateSpec) string {
	text, _ := json.Marshal(t)
	return fmt.Sprintf("%x", sha256.Sum256(text))[:10]
}

// node looks at a node that has come or gone.
func (d *DaemonSets) node(ds *appsv1.DaemonSet, old, now *corev1.Node) {
	st, k := d.state[kube.KeyOf(ds)], kube.KeyOf(ds)
	if st == nil {
		return
	}
	if now == nil {
		if p := st.nodes[old.Name]; p != nil {
			p.wanted = false
			d.queue.Add(work(k, old.Name))
		}
		return
	}
	if !labels.SelectorFromSet(ds.Spec.Template.Spec.NodeSelector).Matches(labels.Set(now.Labels)) {
		return
	}
	if st.nodes[now.Name] == nil {
		st.nodes[now.Name] = &daemonPod{wanted: true}
		st.unavailable++
		d.queue.Add(work(k, now.Name))
	}
}

// pod looks at a pod that has changed.
func (d *DaemonSets) pod(ds kube.Key, p *corev1.Pod, gone bool) {
	st := d.state[ds]
	if st == nil {
		return
	}
	node := TargetNode(p)
	n := st.nodes[node]
	if n == nil || n.key != kube.KeyOf(p) {
		return
	}
	available := !gone && p.DeletionTimestamp == nil && Ready(p)
	if available != n.available {
		n.available = available
		if available {
			st.unavailable--
		} else {
			st.unavailable++
		}
		if available && len(st.waiting) > 0 {
			d.queue.Add(work(ds, ""))
		}
	}
	n.deleting = n.deleting || p.DeletionTimestamp != nil
	if gone {
		*n = daemonPod{wanted: n.wanted}
		d.queue.Add(work(ds, node))
	}
	d.statusLater(ds, st)
}

// TargetNode is the node that a pod of a DaemonSet is for.
func TargetNode(p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, f := range t.MatchFields {
				if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
					return f.Values[0]
				}
			}
		}
	}
	return ""
}

func (d *DaemonSets) reconcile(_ *engine.Process, w kube.Key) error {
	ds, ok := d.sets.Get(split(w.Namespace))
	if !ok {
		return nil
	}
	k := kube.KeyOf(ds)
	st := d.state[k]
	if w.Name == "" {
		return d.roll(ds, st)
	}
	if w.Name == statusWork {
		return d.writeStatus(ds, st)
	}
	n := st.nodes[w.Name]
	switch {
	case n == nil:
		return nil
	case !n.wanted && n.key.Name == "":
		if !n.available {
			st.unavailable--
		}
		delete(st.nodes, w.Name)
		return nil
	case !n.wanted:
		return d.remove(n)
	case n.key.Name == "":
		p, err := d.create(ds, st, w.Name)
		if err != nil {
			return err
		}
		n.key, n.hash = kube.KeyOf(p), st.hash
	}
	return nil
}

func split(s string) kube.Key {
	for i := range s {
		if s[i] == '/' {
			return kube.Key{Namespace: s[:i], Name: s[i+1:]}
		}
	}
	return kube.Key{Name: s}
}

// roll deletes pods of an old template: first those that are not available anyway, then as many as maxUnavailable leaves.
// Source: kubernetes/kubernetes pkg/controller/daemon/update.go, rollingUpdate.
func (d *DaemonSets) roll(ds *appsv1.DaemonSet, st *daemon) error {
	if ds.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		return nil
	}
	most := intstr.FromInt32(1)
	if r := ds.Spec.UpdateStrategy.RollingUpdate; r != nil && r.MaxUnavailable != nil {
		most = *r.MaxUnavailable
	}
	limit, err := intstr.GetScaledValueFromIntOrPercent(&most, len(st.nodes), true)
	if err != nil {
		return err
	}
	limit = max(limit, 1)
	var rest []string
	for _, name := range st.waiting {
		n := st.nodes[name]
		if n == nil || n.deleting || n.key.Name == "" || n.hash == st.hash {
			continue
		}
		switch {
		case !n.available:
			if err := d.remove(n); err != nil {
				return err
			}
		case st.unavailable < limit:
			n.available = false
			st.unavailable++
			if err := d.remove(n); err != nil {
				return err
			}
		default:
			rest = append(rest, name)
		}
	}
	st.waiting = rest
	return nil
}

func (d *DaemonSets) remove(n *daemonPod) error {
	n.deleting = true
	if err := kube.Delete[*corev1.Pod](d.client, n.key); !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// daemonTolerations are those that every pod of a DaemonSet gets.
// Source: kubernetes/kubernetes pkg/controller/daemon/util/daemonset_util.go, AddOrUpdateDaemonPodTolerations.
var daemonTolerations = []corev1.Toleration{
	{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
	{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
	{Key: corev1.TaintNodeDiskPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeMemoryPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodePIDPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
}

func (d *DaemonSets) create(ds *appsv1.DaemonSet, st *daemon, node string) (kube.Object, error) {
	t := ds.Spec.Template.DeepCopy()
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	t.Labels[appsv1.ControllerRevisionHashLabelKey] = st.hash
	t.Spec.Tolerations = append(t.Spec.Tolerations, daemonTolerations...)
	if t.Spec.HostNetwork {
		t.Spec.Tolerations = append(t.Spec.Tolerations, corev1.Toleration{Key: corev1.TaintNodeNetworkUnavailable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	}
	t.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
		{MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}}
	return d.client.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ds.Namespace, GenerateName: ds.Name + "-", Labels: t.Labels, Annotations: t.Annotations,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(ds, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))}}, Spec: t.Spec})
}

// statusWork is the name of the turn that writes the status. No node is called so.
const statusWork = "/status"

func (d *DaemonSets) statusLater(ds kube.Key, st *daemon) {
	if !st.status {
		st.status = true
		d.queue.AddAfter(work(ds, statusWork), statusPeriod)
	}
}

func (d *DaemonSets) writeStatus(ds *appsv1.DaemonSet, st *daemon) error {
	st.status = false
	current, err := kube.Get[*appsv1.DaemonSet](d.client, kube.KeyOf(ds))
	if err != nil {
		return nil
	}
	s := appsv1.DaemonSetStatus{ObservedGeneration: current.Generation}
	for _, n := range st.nodes { // the order is of no effect
		s.DesiredNumberScheduled++
		if n.key.Name == "" {
			continue
		}
		s.CurrentNumberScheduled++
		if n.hash == st.hash {
			s.UpdatedNumberScheduled++
		}
		if n.available {
			s.NumberReady++
		}
	}
	s.NumberAvailable, s.NumberUnavailable = s.NumberReady, s.DesiredNumberScheduled-s.NumberReady
	if reflect.DeepEqual(s, current.Status) {
		return nil
	}
	now := current.DeepCopy()
	now.Status = s
	_, err = d.client.UpdateStatus(now)
	return err
}
