package scenario

import (
	"reflect"
	"strings"
	"time"
)

// Action is one step of the timeline: a verb of the vendor's API at a time. Exactly one of the verbs is set.
type Action struct {
	// When it happens, counted from the moment the world has settled.
	At time.Duration `yaml:"at"`

	// elasticloadbalancing:ModifyTargetGroupAttributes on the target groups of a Service or an Ingress.
	ModifyTargetGroupAttributes *ModifyAttributes `yaml:"modifyTargetGroupAttributes,omitempty"`
	// elasticloadbalancing:ModifyLoadBalancerAttributes on the load balancer of a Service or an Ingress.
	ModifyLoadBalancerAttributes *ModifyAttributes `yaml:"modifyLoadBalancerAttributes,omitempty"`

	// kubectl set image: a new image for a container of a Deployment.
	SetImage *SetImage `yaml:"setImage,omitempty"`
	// kubectl patch, a strategic merge patch.
	Patch *PatchObject `yaml:"patch,omitempty"`
	// kubectl rollout restart: new pods for a Deployment.
	RolloutRestart *RolloutRestart `yaml:"rolloutRestart,omitempty"`
	// kubectl label namespace.
	LabelNamespace *LabelNamespace `yaml:"labelNamespace,omitempty"`
	// A node loses power.
	CrashNode *CrashNode `yaml:"crashNode,omitempty"`

	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// ModifyAttributes sets attributes of what was made for a Service or an Ingress.
type ModifyAttributes struct {
	// The Service, as namespace/name.
	Service string `yaml:"service,omitempty"`
	// The Ingress, as namespace/name, in place of a Service.
	Ingress string `yaml:"ingress,omitempty"`
	// Values by AWS's own attribute names.
	Attributes map[string]string `yaml:"attributes"`
}

func (m *ModifyAttributes) complaint() string {
	if (m.Service == "") == (m.Ingress == "") {
		return `needs one of "service" and "ingress"`
	}
	return ""
}

// Verb is the name of the verb that is set, as scenario.yaml writes it; empty for none.
func (a Action) Verb() string {
	if verbs := a.verbs(); len(verbs) > 0 {
		return verbs[0]
	}
	return ""
}

func (a Action) verbs() (set []string) {
	v := reflect.ValueOf(a)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			set = append(set, fieldName(v.Type().Field(i), "yaml"))
		}
	}
	return set
}

// verbNames lists the verbs that a timeline may use.
func verbNames() (names []string) {
	t := reflect.TypeFor[Action]()
	for i := range t.NumField() {
		if f := t.Field(i); f.Type.Kind() == reflect.Pointer {
			names = append(names, fieldName(f, "yaml"))
		}
	}
	return names
}

func (a *Action) setPlace(at place) { a.File, a.Line = at.file, at.line }

func (a *Action) complaint() string {
	switch set := a.verbs(); len(set) {
	case 0:
		return "has no verb; one of " + strings.Join(verbNames(), ", ") + " is needed"
	case 1:
		return ""
	default:
		return "has " + strings.Join(set, " and ") + "; one verb is needed, so write one item for each"
	}
}
