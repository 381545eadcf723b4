package kube

import (
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekslab/ekslab/sim/engine"
)

// Webhook is a mutating admission webhook that is asked about each new object of a kind.
// Source: k8s.io/api admissionregistration/v1, MutatingWebhook.
type Webhook struct {
	Name, Kind string
	// NamespaceSelector and ObjectSelector choose by labels of the object's namespace and of the object; nil chooses all.
	NamespaceSelector, ObjectSelector *metav1.LabelSelector
	// FailurePolicy says what an error of the webhook means for the object. Empty means Fail.
	FailurePolicy admissionregistrationv1.FailurePolicyType
	// Timeout is how long the API server waits. Zero means 10 s.
	Timeout time.Duration
	// Latency is how long the webhook takes for one object. A caller waits for it if its client has a process (Client.On).
	Latency time.Duration
	// Mutate may change the object. An error is that of the webhook as such; to refuse an object, return Denied.
	Mutate func(namespace *corev1.Namespace, o Object) error
}

// defaultWebhookTimeout is timeoutSeconds' default. Source: k8s.io/api admissionregistration/v1, MutatingWebhook.TimeoutSeconds.
const defaultWebhookTimeout = 10 * time.Second

// Denied is the error of a webhook that refuses an object.
type Denied struct{ Message string }

func (d Denied) Error() string { return d.Message }

// AddWebhook registers a mutating webhook. Webhooks are called in order of their names.
func (c *Cluster) AddWebhook(w Webhook) error {
	for _, s := range []*metav1.LabelSelector{w.NamespaceSelector, w.ObjectSelector} {
		if s == nil {
			continue
		}
		if _, err := metav1.LabelSelectorAsSelector(s); err != nil {
			return fmt.Errorf("webhook %s: %w", w.Name, err)
		}
	}
	i := 0
	for i < len(c.webhooks) && c.webhooks[i].Name <= w.Name {
		i++
	}
	c.webhooks = append(c.webhooks, Webhook{})
	copy(c.webhooks[i+1:], c.webhooks[i:])
	c.webhooks[i] = w
	return nil
}

// admit has the webhooks change a new object.
func (cl *Client) admit(kind string, o Object) error {
	c := cl.c
	for i := range c.webhooks {
		w := &c.webhooks[i]
		if w.Kind != kind || !chosen(w.ObjectSelector, o.GetLabels()) {
			continue
		}
		ns, _ := c.kind("Namespace").objects[Key{Name: o.GetNamespace()}].(*corev1.Namespace)
		if ns == nil { // the object is of the cluster, or will be refused
			ns = &corev1.Namespace{}
		}
		if !chosen(w.NamespaceSelector, ns.Labels) {
			continue
		}
		timeout := w.Timeout
		if timeout == 0 {
			timeout = defaultWebhookTimeout
		}
		if cl.process != nil {
			cl.process.Sleep(min(w.Latency, timeout))
		}
		var err error
		if w.Latency > timeout {
			err = fmt.Errorf("context deadline exceeded")
		} else {
			err = w.Mutate(ns, o)
		}
		switch d, denied := err.(Denied); {
		case denied:
			return apierrors.NewForbidden(resource(kind), o.GetName(), fmt.Errorf("admission webhook %q denied the request: %s", w.Name, d.Message))
		case err != nil && w.FailurePolicy != admissionregistrationv1.Ignore:
			return apierrors.NewInternalError(fmt.Errorf("failed calling webhook %q: %w", w.Name, err))
		}
	}
	return nil
}

func chosen(s *metav1.LabelSelector, of map[string]string) bool {
	if s == nil {
		return true
	}
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(of))
}

// On returns the client with the process that waits for its calls, where they take time.
func (cl *Client) On(p *engine.Process) *Client {
	return &Client{c: cl.c, caller: cl.caller, process: p}
}
