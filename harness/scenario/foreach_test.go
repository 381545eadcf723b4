package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// A forEach repeats what it stands at: an item of a list, or the object of a patch.
func TestForEach(t *testing.T) {
	text := replaced(t, full, "      - {name: b, zone: eu-west-1b, cidr: 192.168.32.0/19, when: size(params.sizes) > 1}",
		"      - {name: 'b${each}', zone: eu-west-1b, cidr: '192.168.${each * 32}.0/19', forEach: '[1, 2, 3]', when: each != 2}")
	text = replaced(t, text, "subnet: b, instanceType", "subnet: b3, instanceType")
	text = replaced(t, text, "  - target: Service/web/web\n", `  - target: Deployment/web/web
    forEach: 'lists.range(3).map(i, {"n": i + 1, "name": "web-" + string(i)})'
    when: each.n > 1
    patch: {metadata: {name: '${each.name}'}, spec: {replicas: '${each.n}'}}
  - target: Deployment/web/web
    patch: {metadata: {labels: {all: "yes"}}}
  - target: Service/web/web
`)
	text = replaced(t, text, "timeline:\n", "timeline:\n  - {at: '${duration(string(each) + \"s\")}', forEach: params.sizes, scale: {deployment: web/web-1, replicas: '${each}'}}\n")
	s := mustLoad(t, text)
	if err := s.Validate(vocab); err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve("broken", map[string]string{"sizes": "2,7"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range plan.World.VPC.Subnets {
		got = append(got, n.Name+" "+n.CIDR)
	}
	for _, o := range plan.Objects {
		if o.Kind == "Deployment" {
			got = append(got, o.Key()+" "+o.Value.GetLabels()["all"])
		}
	}
	for _, a := range plan.Timeline {
		got = append(got, fmt.Sprintf("%v %d", a.At, a.Scale.Replicas))
	}
	want := "a 192.168.0.0/19, b1 192.168.32.0/19, b3 192.168.96.0/19, Deployment/web/web-1 yes, Deployment/web/web-2 yes, 2s 2, 7s 7"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

// A forEach that is none is an error at its place.
func TestBadForEach(t *testing.T) {
	const subnet = "      - {name: b, zone: eu-west-1b, cidr: 192.168.32.0/19, when: size(params.sizes) > 1}"
	for _, c := range []struct{ name, item, want string }{
		{"a number", "forEach: params.zone", "scenario.yaml:34: forEach must be a list, but this is an int"},
		{"a list of YAML", "forEach: [1]", "scenario.yaml:34: forEach: want a CEL expression, have a list"},
		{"a template", "forEach: '${params.sizes}'", "scenario.yaml:34: forEach is CEL as it stands: leave out ${ and }"},
		{"an unknown name", "forEach: params.size", `scenario.yaml:34: unknown parameter "size"; did you mean "sizes"?`},
		{"twice the same", "forEach: '[1, 1]'", "scenario.yaml:34: two subnets are named \"b\"\nscenario.yaml:34: subnet b (192.168.32.0/19) overlaps b (192.168.32.0/19)"},
		{"an item of another type", "forEach: params.sizes, when: each.x > 1", `scenario.yaml:34: type 'int' does not support field selection`},
		{"too long a list", "forEach: lists.range(100001)", "scenario.yaml:34: forEach: lists.range: size 100001 exceeds maximum allowed (100000)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := replaced(t, full, subnet, "      - {name: b, zone: eu-west-1b, cidr: 192.168.32.0/19, "+c.item+"}")
			s, err := loadText(text, web)
			if err == nil {
				err = s.Validate(vocab)
			}
			wantErr(t, err, strings.Split(c.want, "\n")...)
		})
	}
}
