package kube

import (
	"fmt"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekslab/ekslab/sim/trace"
)

// MutatingWebhook changes objects of one kind as they are created. It stands for a MutatingWebhookConfiguration with one webhook.
type MutatingWebhook struct {
	Name, Kind string
	// NamespaceSelector is about the labels of the object's namespace, ObjectSelector about its own. Nil selects all.
	NamespaceSelector, ObjectSelector *metav1.LabelSelector
	// FailurePolicy is what an error of Mutate means. Empty means Fail, as in admissionregistration.k8s.io/v1.
	FailurePolicy admissionv1.FailurePolicyType
	// Latency is how long a call takes; nil means no time.
	Latency func() time.Duration
	// Mutate changes the object in place.
	Mutate func(o Object) error
}

// AddMutatingWebhook registers a webhook. Webhooks are called in order of their names.
func (c *Cluster) AddMutatingWebhook(w MutatingWebhook) {
	at := len(c.hooks)
	for at > 0 && c.hooks[at-1].Name > w.Name {
		at--
	}
	c.hooks = append(c.hooks, MutatingWebhook{})
	copy(c.hooks[at+1:], c.hooks[at:])
	c.hooks[at] = w
}

// admit asks the webhooks that select an object, and waits for their answers.
// Source: kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/mutating/dispatcher.go.
func (cl *Client) admit(kind string, o Object) (Object, error) {
	c := cl.c
	for _, w := range c.hooks {
		if w.Kind != kind || !c.selectedBy(w, o) {
			continue
		}
		if w.Latency != nil && cl.process != nil {
			cl.process.Sleep(w.Latency())
		}
		changed := o.DeepCopyObject().(Object)
		if err := w.Mutate(changed); err != nil {
			if w.FailurePolicy == admissionv1.Ignore {
				c.log.Say(trace.Kube, "kube-apiserver", "failed calling webhook, failing open", w.Name+": "+err.Error())
				continue
			}
			return o, webhookError(w.Name, err)
		}
		o = changed
	}
	return o, nil
}

// webhookError is what a caller gets for a webhook that cannot be called.
// Source: apiserver pkg/admission/plugin/webhook/mutating/dispatcher.go: an internal error, "failed calling webhook".
func webhookError(name string, err error) error {
	s := apierrors.NewInternalError(fmt.Errorf("failed calling webhook %q: %w", name, err))
	s.ErrStatus.Code = http.StatusInternalServerError
	return s
}

func (c *Cluster) selectedBy(w MutatingWebhook, o Object) bool {
	matches := func(s *metav1.LabelSelector, l map[string]string) bool {
		if s == nil {
			return true
		}
		sel, err := metav1.LabelSelectorAsSelector(s)
		return err == nil && sel.Matches(labels.Set(l))
	}
	if !matches(w.ObjectSelector, o.GetLabels()) {
		return false
	}
	if w.NamespaceSelector == nil || o.GetNamespace() == "" {
		return true
	}
	ns := c.kind("Namespace").objects[Key{Name: o.GetNamespace()}]
	return ns != nil && matches(w.NamespaceSelector, ns.GetLabels())
}

// Waits says whether creating an object of a kind may take time, since webhooks are asked.
func (c *Cluster) Waits(kind string) bool {
	for _, w := range c.hooks {
		if w.Kind == kind && w.Latency != nil {
			return true
		}
	}
	return false
}
