package scenario

import (
	"testing"
)

// check loads and validates, as the command line does.
func check(scenario, manifest string) error {
	s, err := loadText(scenario, manifest)
	if err != nil {
		return err
	}
	return s.Validate(vocab)
}

func TestFixturesAreRight(t *testing.T) {
	wantErr(t, check(full, web))
	wantErr(t, check(minimal, web))
}

// Each row changes one thing in the full scenario and names every line of the error.
func TestBadScenarios(t *testing.T) {
	rows := []struct {
		name, old, new string
		want           []string
	}{
		// Form.
		{"unknown field", "  kernel:\n", "  kernle:\n", []string{
			`scenario.yaml:38: unknown field "kernle" in world; did you mean "kernel"?`}},
		{"unknown field at the top", "settle: 5m", "settel: 5m", []string{
			`scenario.yaml:52: unknown field "settel" in the file; did you mean "settle"?`}},
		{"unknown field unlike any", "  title: A scenario with everything", "  title: x\n  zzz: 1", []string{
			`scenario.yaml:7: unknown field "zzz" in metadata; it has area, name, title`}},
		{"missing field", "{name: lab, version: \"1.22\", ", "{name: lab, ", []string{
			`scenario.yaml:29: world.cluster: "version" is missing`}},
		{"a number where text is wanted", `version: "1.22"`, `version: 1.22`, []string{
			`scenario.yaml:29: world.cluster.version: want text (in quotes), have the number 1.22`}},
		{"text where a number is wanted", "replicas: 2, nodeGroup", "replicas: two, nodeGroup", []string{
			`scenario.yaml:43: world.addOns.coredns.replicas: want a whole number, have the text "two"`}},
		{"a fraction where a whole number is wanted", "count: 100", "count: 1.5", []string{
			`scenario.yaml:61: load[0].count: want a whole number, have the number 1.5`}},
		{"too small a number", "count: 100", "count: 0", []string{
			`scenario.yaml:61: load[0].count: want a whole number of at least 1, have the number 0`}},
		{"a duration without unit", "settle: 5m", "settle: 5", []string{
			`scenario.yaml:52: settle: want a duration, such as 500ms or 2m, have the number 5`}},
		{"a negative duration", "at: 1m", "at: -1m", []string{
			`scenario.yaml:54: timeline[0].at: want a duration that is not negative, have the text "-1m"`}},
		{"a list where a mapping is wanted", "    vpc-cni: {}", "    vpc-cni: []", []string{
			`scenario.yaml:41: world.addOns.vpc-cni: want a mapping, have a list`}},
		{"nothing where a list is wanted to have items", "symptoms: [it hangs]", "symptoms: [~]", []string{
			`scenario.yaml:10: symptoms[0] has no value`}},
		{"text where a list is wanted", "symptoms: [it hangs]", "symptoms: it hangs", []string{
			`scenario.yaml:10: symptoms: want a list, have the text "it hangs"`}},
		{"a number as a name", "  name: full", "  name: 7", []string{
			`scenario.yaml:5: metadata.name: want text (in quotes), have the number 7`}},
		{"a list where a mapping with an order is wanted", "let:\n  nodes: sum(params.sizes)\n", "let: []\nlett:\n  nodes: sum(params.sizes)\n", []string{
			`scenario.yaml:24: let: want a mapping, have a list`,
			`scenario.yaml:25: unknown field "lett" in the file; did you mean "let"?`}},
		{"a list where CEL is wanted", "nodes: sum(params.sizes)", "nodes: [1]", []string{
			`scenario.yaml:25: let.nodes: want a CEL expression, have a list`}},
		{"an attribute without value", "attributes: {preserve_client_ip.enabled: '${string(params.preserve == true)}'}", "attributes: {a: }", []string{
			`scenario.yaml:56: timeline[0].modifyTargetGroupAttributes.attributes.a has no value`}},
		{"a list where attributes are wanted", "attributes: {preserve_client_ip.enabled: '${string(params.preserve == true)}'}", "attributes: []", []string{
			`scenario.yaml:56: timeline[0].modifyTargetGroupAttributes.attributes: want a mapping, have a list`}},
		{"a key that is a list", "settle: 5m", "settle: 5m\n[a]: b", []string{
			`scenario.yaml:53: a key must be text, not a list or mapping`}},
		{"a key that is missing", "settle: 5m", "settle: 5m\n~: b", []string{
			`scenario.yaml:53: a key is missing`}},
		{"when that is a list", "    when: params.preserve != null", "    when: [a]", []string{
			`scenario.yaml:55: when: want a CEL expression, have a list`}},
		{"when that cannot be evaluated", "    when: params.preserve != null", "    when: params.sizes[9] > 0", []string{
			`scenario.yaml:55: when: index out of bounds: 9`}},
		{"a list's bounds the wrong way round", "minItems: 1, maxItems: 3, default: [1, 2]", "minItems: 2, maxItems: 1, default: [1, 2]", []string{
			`scenario.yaml:12: parameters.sizes: minItems 2 is above maxItems 1`,
			`scenario.yaml:12: parameters.sizes: default: want a list of 2 to 1 whole numbers from 0 to 9, have [1,2]`}},
		{"a list's bounds at a number", "zone: {type: int, default: 1, min: 1, max: 3", "zone: {type: int, default: 1, minItems: 1, max: 3", []string{
			`scenario.yaml:13: parameters.zone: "minItems" and "maxItems" belong to a list, not to int`}},
		{"items at a number", "zone: {type: int,", "zone: {type: int, items: {type: int},", []string{
			`scenario.yaml:13: parameters.zone: "items" belongs to a list or range, not to int`}},
		{"a value twice", "values: [instance, ip]", "values: [instance, ip, ip]", []string{
			`scenario.yaml:14: parameters.kind: the value "ip" is given twice`}},
		{"a range of text", "delay: {type: range, items: {type: int, min: 0}, default: [1, 5]", "delay: {type: range, items: {type: string}, default: [a, b]", []string{
			`scenario.yaml:19: parameters.delay: a range is of int, number or duration, not string`}},
		{"set that is a list", "set: {preserve: false}", "set: [preserve]", []string{
			`scenario.yaml:66: variants.fixed-off.set: want a mapping of parameters to values, have a list`}},
		{"variant's name", "  fixed-off:", "  fixed_off:", []string{
			`scenario.yaml:66: "fixed_off" must be small letters, digits and single hyphens, as in fixed-local`,
			`scenario.yaml:70: golden: there is no variant "fixed-off"; did you mean "fixed_off"?`}},
		{"golden that is a list", "golden: {zone: 2, variant: fixed-off}", "golden: [zone]", []string{
			`scenario.yaml:70: golden: want a mapping of parameters to values, have a list`}},
		{"golden that breaks a rule", "golden: {zone: 2,", "golden: {zone: 3,", []string{
			`scenario.yaml:22: zone is a position in sizes (sizes=1,2 zone=3) (in golden)`}},
		{"headline twice", "headline: [hungRatio]", "headline: [hungRatio, hungRatio]", []string{
			`scenario.yaml:69: headline: "hungRatio" is listed twice`}},
		{"manifest twice", "manifests: [web.yaml]", "manifests: [web.yaml, web.yaml]", []string{
			`scenario.yaml:45: web.yaml is listed twice`}},
		{"patch that is a list", "patch: {spec: {replicas: '${let.nodes}'}}", "patch: []", []string{
			`scenario.yaml:48: patch: want a mapping, have a list`}},
		{"a function of an index", "nodes: sum(params.sizes)", "nodes: params.sizes['a']", []string{
			`scenario.yaml:25: "[ ]" does not go with (list(int), string)`}},
		{"a variable named as a section", "nodes: sum(params.sizes)", "nodes: 'params.sizes.exists(obs, obs > 1) ? 1 : 0'", []string{
			`scenario.yaml:25: obs cannot name a variable`,
			`scenario.yaml:25: obs is no value of its own; name one of its fields, as in obs.x`}},
		{"two loads of one name", "variants:\n", "  - {name: calls, pod: web/client, count: 1, every: 1s, curl: {service: web/web, address: clusterIP, fallback: none}}\nvariants:\n", []string{
			`scenario.yaml:64: two loads are named "calls"`}},
		{"an address that is none", "[192.168.18.190]", "[192.168.18]", []string{
			`scenario.yaml:36: node group ng-a: "192.168.18" is no IPv4 address`}},
		{"an address twice", "[192.168.18.190]", "[192.168.18.190, 192.168.18.190]", []string{
			`scenario.yaml:36: node group ng-a: 192.168.18.190 is given twice`}},
		{"two node groups of one name", "{name: ng-b, subnet", "{name: ng-a, subnet", []string{
			`scenario.yaml:36: two node groups are named "ng-a"`}},
		{"a word out of a list", "mode: iptables", "mode: iptable", []string{
			`scenario.yaml:42: world.addOns.kube-proxy.mode: want one of iptables, ipvs, nftables, have "iptable"; did you mean "iptables"?`}},
		{"nothing in a list", "symptoms: [it hangs]", "symptoms: [it hangs, ]\nmanifests2:", []string{
			`scenario.yaml:11: unknown field "manifests2" in the file; did you mean "manifests"?`}},
		{"several at once", "apiVersion: ekslab/v1alpha1\nkind: Scenario", "apiVersion: ekslab/v1\nkind: Scene", []string{
			`scenario.yaml:1: apiVersion: want "ekslab/v1alpha1", have "ekslab/v1"; did you mean "ekslab/v1alpha1"?`,
			`scenario.yaml:2: kind: want "Scenario", have "Scene"`}},
		{"no such verb", "modifyTargetGroupAttributes:", "modifyTargetGroupAttribute:", []string{
			`scenario.yaml:54: timeline[0] has no verb; one of modifyTargetGroupAttributes, modifyLoadBalancerAttributes, setImage, patch, rolloutRestart, labelNamespace, crashNode is needed`,
			`scenario.yaml:56: unknown field "modifyTargetGroupAttribute" in timeline[0]; did you mean "modifyTargetGroupAttributes"?`}},
		{"two verbs", "    when: params.preserve != null\n", "    modifyLoadBalancerAttributes: {service: web/web, attributes: {}}\n", []string{
			`scenario.yaml:54: timeline[0] has modifyTargetGroupAttributes and modifyLoadBalancerAttributes; one verb is needed, so write one item for each`}},
		{"an attribute that is no text", "preserve_client_ip.enabled: '${string(params.preserve == true)}'", "preserve_client_ip.enabled: true", []string{
			`scenario.yaml:56: timeline[0].modifyTargetGroupAttributes.attributes["preserve_client_ip.enabled"]: want text (in quotes), have true`}},
		{"duplicate key", "settle: 5m", "settle: 5m\nkind: Scenario", []string{
			`scenario.yaml:53: duplicate key "kind", first on line 2`}},
		{"duplicate key in a flow mapping", "mode: iptables", "mode: iptables, mode: ipvs", []string{
			`scenario.yaml:42: duplicate key "mode", first on line 42`}},
		{"merge key", "    vpc-cni: {}", "    vpc-cni: {<<: {}}", []string{
			`scenario.yaml:41: merge keys ("<<") are not supported; write the fields out`}},
		{"tag", "settle: 5m", "settle: !seconds 5", []string{
			`scenario.yaml:52: the YAML tag !seconds is not supported`,
			`scenario.yaml:52: settle: want a duration, such as 500ms or 2m, have the text "5"`}},
		{"number too large", "count: 100", "count: 99999999999999999999", []string{
			`scenario.yaml:61: load[0].count: want a whole number, have the number 99999999999999999999`}},
		{"infinity", "share: {type: number, default: 0.5", "share: {type: number, default: .inf", []string{
			`scenario.yaml:18: .inf is no finite number`}},
		{"a second document", "expect:\n  \"*\":", "---\nexpect:\n  \"*\":", []string{
			`scenario.yaml:1: the file: "expect" is missing`,
			`scenario.yaml:72: a second document begins here; scenario.yaml holds one`}},

		// Names.
		{"name", "  name: full", "  name: Full", []string{
			`scenario.yaml:5: "Full" must be small letters, digits and single hyphens, as in nlb-hairpin`}},
		{"parameter's name", "  zone: {type", "  Zone: {type", []string{
			`scenario.yaml:13: "Zone" cannot name a parameter: a name begins with a small letter, has letters and digits only, and is none of in, true, false, null, variant`,
			`scenario.yaml:70: golden: unknown parameter "zone"; did you mean "Zone"?`}},
		{"first variant", "  broken: {doc: As it is.}\n", "", []string{
			`scenario.yaml:65: the first variant must be broken, not "fixed-off"`,
			`scenario.yaml:75: expect: there is no variant "broken"`}},
		{"expectation of no variant", "  fixed-*:", "  fixed-on:", []string{
			`scenario.yaml:81: expect: there is no variant "fixed-on"; did you mean "fixed-off"?`}},
		{"expectation without name", "    - name: none\n      meaning", "    - meaning", []string{
			`scenario.yaml:82: expect.fixed-*[0]: "name" is missing`}},
		{"two expectations of one name", "    - name: none", "    - name: some", []string{
			`scenario.yaml:82: variant fixed-off has two expectations "some", the first on line 73`}},
		{"headline", "headline: [hungRatio]", "headline: [hungRatios]", []string{
			`scenario.yaml:69: headline: "hungRatios" is not one of the scenario's observations; did you mean "hungRatio"?`}},
		{"unknown observation", "ended]", "endet]", []string{
			`scenario.yaml:68: unknown observation "endet"; did you mean "ended"?`}},
		{"observation twice", "ended]", "nodes]", []string{
			`scenario.yaml:68: observation "nodes" is listed twice`}},

		// Parameters.
		{"type", "zone: {type: int", "zone: {type: integer", []string{
			`scenario.yaml:13: parameters.zone.type: want one of int, number, bool, string, enum, duration, list, range, have "integer"; did you mean "int"?`,
		}},
		{"default out of bounds", "zone: {type: int, default: 1", "zone: {type: int, default: 7", []string{
			`scenario.yaml:13: parameters.zone: default: want a whole number from 1 to 3, have 7`}},
		{"default of another type", "preserve: {type: bool, default: null", "preserve: {type: bool, default: \"true\"", []string{
			`scenario.yaml:16: parameters.preserve: default: want true or false, have "true"`}},
		{"no default", "label: {type: string, default: x, doc", "label: {type: string, doc", []string{
			`scenario.yaml:20: parameters.label: "default" is missing`}},
		{"bounds the wrong way round", "default: 1, min: 1, max: 3", "default: 1, min: 3, max: 1", []string{
			`scenario.yaml:13: parameters.zone: min 3 is above max 1`,
		}},
		{"a bound of another type", "min: 1ms, max: 1h", "min: 1, max: 1h", []string{
			`scenario.yaml:17: parameters.every: min: want a duration, have 1`}},
		{"a list without items", "sizes: {type: list, items: {type: int, min: 0, max: 9}, ", "sizes: {type: list, ", []string{
			`scenario.yaml:12: parameters.sizes: a list needs "items" with their type, as in items: {type: int, min: 0}`}},
		{"an enum without values", "kind: {type: enum, values: [instance, ip], ", "kind: {type: enum, ", []string{
			`scenario.yaml:14: parameters.kind: an enum needs "values", as in values: [none, one]`,
			`scenario.yaml:14: parameters.kind: default: want one of , have instance`,
			`scenario.yaml:67: variants.fixed-ip: kind must be one of ; it was given ip`}},
		{"values of no enum", "label: {type: string, ", "label: {type: string, values: [x], ", []string{
			`scenario.yaml:20: parameters.label: "values" belongs to an enum, not to string`}},
		{"a range the wrong way round", "default: [1, 5], unit", "default: [5, 1], unit", []string{
			`scenario.yaml:19: parameters.delay: default: want min,max: two whole numbers of at least 0, the smaller first, have [5,1]`}},
		{"computed default reads a later one", `'${params.kind == "ip"`, `'${params.label == "ip"`, []string{
			`scenario.yaml:15: params.label is not known yet: a default sees the parameters above it`}},
		{"computed default that is not allowed", `"lbc" : "in-tree"}', doc`, `"lbc" : "in tree"}', doc`, []string{
			`scenario.yaml:15: the default ${params.kind == "ip" ? "lbc" : "in tree"}: controller must be one of in-tree, lbc; it was given "in tree"; did you mean "in-tree"? (in broken, fixed-off)`}},

		// Variants and golden.
		{"variant sets an unknown parameter", "set: {preserve: false}", "set: {preserved: false}", []string{
			`scenario.yaml:66: variants.fixed-off: unknown parameter "preserved"; did you mean "preserve"?`}},
		{"variant sets a value out of bounds", "set: {preserve: false}", "set: {zone: 9}", []string{
			`scenario.yaml:66: variants.fixed-off: zone must be a whole number from 1 to 3; it was given 9`}},
		{"variant sets a value of another type", "set: {preserve: false}", `set: {preserve: "false"}`, []string{
			`scenario.yaml:66: variants.fixed-off: preserve must be true or false, or null to leave it unset; it was given "false"`}},
		{"variant sets a bare number for a duration", "set: {preserve: false}", `set: {every: 500}`, []string{
			`scenario.yaml:66: variants.fixed-off: every must be a duration from 1ms to 1h, such as 500ms; it was given 500`}},
		{"variant breaks a rule", "set: {preserve: false}", `set: {zone: 3}`, []string{
			`scenario.yaml:22: zone is a position in sizes (sizes=1,2 zone=3) (in fixed-off)`}},
		{"variant breaks two rules", "set: {preserve: false}", `set: {zone: 3, kind: ip, controller: in-tree}`, []string{
			`scenario.yaml:22: zone is a position in sizes (sizes=1,2 zone=3) (in fixed-off)`,
			`scenario.yaml:23: ip needs lbc (controller=in-tree kind=ip) (in fixed-off)`}},
		{"golden", "golden: {zone: 2, ", "golden: {zone: two, ", []string{
			`scenario.yaml:70: golden: zone must be a whole number from 1 to 3; it was given two`}},
		{"golden's variant", "variant: fixed-off}", "variant: fixed-of}", []string{
			`scenario.yaml:70: golden: there is no variant "fixed-of"; did you mean "fixed-off"?`}},

		// Expressions.
		{"unknown parameter", "nodes: sum(params.sizes)", "nodes: sum(params.size)", []string{
			`scenario.yaml:25: unknown parameter "size"; did you mean "sizes"?`}},
		{"unknown let", "patch: {spec: {replicas: '${let.nodes}'}}", "patch: {spec: {replicas: '${let.node}'}}", []string{
			`scenario.yaml:48: let has no name "node"; did you mean "nodes"?`}},
		{"a let below", "nodes: sum(params.sizes)", "nodes: 'let.kept ? 1 : 0'", []string{
			`scenario.yaml:25: let.kept is not known yet: let.nodes sees the names above it`}},
		{"let in a rule", "params.zone <= size(params.sizes), otherwise", "params.zone <= let.nodes, otherwise", []string{
			`scenario.yaml:22: let.nodes is not known here: a rule is over params`}},
		{"an observation the scenario does not list", "that: obs.hungRatio == 0", "that: obs.unlisted == 0", []string{
			`scenario.yaml:84: observation "unlisted" is not in the scenario's list of observations`}},
		{"unknown observation in an expectation", "that: obs.hungRatio == 0", "that: obs.hungRation == 0", []string{
			`scenario.yaml:84: unknown observation "hungRation"; did you mean "hungRatio"?`}},
		{"an observation before the run", "      when: let.kept", "      when: obs.ended", []string{
			`scenario.yaml:79: obs.ended is known after a run only: when is over params and let`}},
		{"no observation", "that: obs.hungRatio == 0", "that: params.zone > 0", []string{
			`scenario.yaml:84: that reads no observation, so no run can fail it: name one as in obs.x`}},
		{"syntax", "that: obs.hungRatio == 0", "that: obs.hungRatio ==", []string{
			`scenario.yaml:84: not valid CEL: the expression ends too early`}},
		{"not a bool", "      when: let.kept", "      when: let.nodes", []string{
			`scenario.yaml:79: when must be true or false, but this is an int`}},
		{"rule that is not a bool", "params.zone <= size(params.sizes), otherwise", "params.zone, otherwise", []string{
			`scenario.yaml:22: a rule must be true or false, but this is an int`}},
		{"wrong types", "that: obs.hungRatio == 0", `that: obs.nodeName == params.zone`, []string{
			`scenario.yaml:84: "==" does not go with (string, int)`}},
		{"number compared with text", "that: obs.hungRatio == 0", `that: obs.hungRatio == "0"`, []string{
			`scenario.yaml:84: obs.hungRatio is a number and cannot be compared with a string`}},
		{"number calculated with an int", "that: obs.hungRatio == 0", `that: obs.hungRatio * 2 < 1.0`, []string{
			`scenario.yaml:84: obs.hungRatio is a double, which CEL does not calculate with an int: write 2.0 for 2, double(x) for x`}},
		{"wrong arguments", "that: near(obs.hungRatio, 1.0", "that: near(obs.nodeName, 1.0", []string{
			`scenario.yaml:80: near() does not go with (string, double, dyn)`}},
		{"branches of two types", "nodes: sum(params.sizes)", `nodes: 'params.zone > 1 ? 1 : "x"'`, []string{
			`scenario.yaml:25: "? :" does not go with (bool, int, string): it needs a bool and two values of one type`}},
		{"no prefix", "nodes: sum(params.sizes)", "nodes: sum(sizes)", []string{
			`scenario.yaml:25: unknown name "sizes"; did you mean "params.sizes"?`}},
		{"unknown function", "nodes: sum(params.sizes)", "nodes: summ(params.sizes)", []string{
			`scenario.yaml:25: unknown name "summ"; did you mean "sum"?`}},
		{"has", "nodes: sum(params.sizes)", "nodes: 'has(params.sizes) ? 1 : 0'", []string{
			`scenario.yaml:25: has() does not go with params.sizes; one without a value is null`}},
		{"index with text", "nodes: sum(params.sizes)", `nodes: sum(params["sizes"])`, []string{
			`scenario.yaml:25: params is no value of its own; name one of its fields, as in params.x`}},
		{"brace not closed", "'${let.nodes}'", "'${let.nodes'", []string{
			`scenario.yaml:48: ${ is not closed by }`}},
		{"empty braces", "'${let.nodes}'", "'${}'", []string{
			`scenario.yaml:48: a CEL expression is missing`}},
		{"braces around when", "    when: params.preserve != null", "    when: '${params.preserve != null}'", []string{
			`scenario.yaml:55: when is CEL as it stands: leave out ${ and }`}},
		{"braces in a key", "preserve_client_ip.enabled:", "'${params.label}':", []string{
			`scenario.yaml:56: the key "${params.label}" cannot hold ${}`}},
		{"expression on a line of its own", "    when: params.preserve != null", "    when: |\n      params.preserve != null &&\n      params.zoned > 1", []string{
			`scenario.yaml:57: unknown parameter "zoned"; did you mean "zone"?`}},
		{"evaluates out of range", "${params.sizes[0]}", "${params.sizes[7]}", []string{
			`scenario.yaml:36: ${params.sizes[7]}: index out of bounds: 7`}},
		{"let that fails", "nodes: sum(params.sizes)", "nodes: 1 / (params.zone - params.zone)", []string{
			`scenario.yaml:25: let.nodes: division by zero`}},
		{"a value of another type", "count: 100", "count: '${params.label}'", []string{
			`scenario.yaml:61: load[0].count: want a whole number, have the text "x"`}},
		{"a list within text", "'n=${let.nodes} $${HOME}'", "'n=${params.sizes}'", []string{
			`scenario.yaml:51: ${params.sizes} is a list, which cannot stand within text (in broken)`}},

		// The world.
		{"no such subnet", "{name: ng-a, subnet: a,", "{name: ng-a, subnet: aa,", []string{
			`scenario.yaml:36: node group ng-a is in subnet "aa", which the world does not have; did you mean "a"?`}},
		{"no such node group", `["ng-a", "ng-b"]`, `["ng-c", "ng-d"]`, []string{
			`scenario.yaml:43: CoreDNS runs on node group "ng-c", which the world does not have; did you mean "ng-a"?`}},
		{"no CIDR", "    cidr: 192.168.0.0/16", "    cidr: 192.168.0.0", []string{
			`scenario.yaml:31: world.vpc.cidr: "192.168.0.0" is no IPv4 range such as 192.168.0.0/16`}},
		{"bits beyond the length", "cidr: 192.168.32.0/19", "cidr: 192.168.33.0/19", []string{
			`scenario.yaml:34: the cidr of subnet b: "192.168.33.0/19" has bits beyond its length: it should be 192.168.32.0/19`}},
		{"overlap", "cidr: 192.168.32.0/19", "cidr: 192.168.16.0/20", []string{
			`scenario.yaml:34: subnet b (192.168.16.0/20) overlaps a (192.168.0.0/19)`}},
		{"outside the VPC", "cidr: 192.168.32.0/19", "cidr: 10.0.0.0/19", []string{
			`scenario.yaml:34: subnet b (10.0.0.0/19) is not inside the VPC's 192.168.0.0/16`}},
		{"another region's zone", "zone: eu-west-1b", "zone: us-east-1b", []string{
			`scenario.yaml:34: the zone "us-east-1b" of subnet b is not in region eu-west-1`}},
		{"address outside the subnet", "[192.168.18.190]", "[192.168.32.4]", []string{
			`scenario.yaml:36: node group ng-a: 192.168.32.4 is not in subnet a (192.168.0.0/19)`}},
		{"two subnets of one name", "{name: b, zone", "{name: a, zone", []string{
			`scenario.yaml:33: two subnets are named "a"`,
			`scenario.yaml:37: node group ng-b is in subnet "b", which the world does not have; did you mean "a"?`}},

		// Manifests and what refers to them.
		{"no such manifest", "manifests: [web.yaml]", "manifests: [webb.yaml]", []string{
			`scenario.yaml:45: webb.yaml: no such file; did you mean "web.yaml"?`}},
		{"manifest outside the folder", "manifests: [web.yaml]", "manifests: [../web.yaml]", []string{
			`scenario.yaml:45: "../web.yaml" is no path inside the scenario's folder`}},
		{"target", "  - target: Service/web/web", "  - target: Service/web/wep", []string{
			`scenario.yaml:49: the manifests have no "Service/web/wep" to patch; did you mean "Service/web/web"?`}},
		{"unknown field in a patch", "patch: {spec: {replicas:", "patch: {spec: {replica:", []string{
			`scenario.yaml:48: unknown field "replica" in spec; did you mean "replicas"?`}},
		{"wrong type in a patch", "'${string(let.kept)}'", "true", []string{
			`scenario.yaml:51: metadata.annotations.preserve: want text (in quotes), have true`}},
		{"wrong type by an expression in a patch", "'${string(let.kept)}'", "'${let.kept}'", []string{
			`scenario.yaml:51: metadata.annotations.preserve: want text (in quotes), have true (in broken)`}},
		{"patch of kind", "patch: {spec: {replicas: '${let.nodes}'}}", "patch: {kind: Pod}", []string{
			`scenario.yaml:48: a patch cannot change kind`}},
		{"no such Service", "curl: {service: web/web,", "curl: {service: web/webs,", []string{
			`scenario.yaml:58: the manifests have no Service "web/webs"; did you mean "web/web"?`}},
		{"no such pod", "pod: web/client", "pod: default/client", []string{
			`scenario.yaml:58: the manifests have no Pod "default/client"; they have web/client`}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			wantErr(t, check(replaced(t, full, row.old, row.new), web), row.want...)
		})
	}
}

func TestBadManifests(t *testing.T) {
	rows := []struct {
		name, old, new string
		want           []string
	}{
		{"kind that is not modelled", "apiVersion: apps/v1\nkind: Deployment", "apiVersion: apps/v1\nkind: StatefulSet", []string{
			`web.yaml:7: kind StatefulSet of apps/v1 is not modelled; the supported kinds are v1 Namespace, v1 Pod, v1 Service, v1 ConfigMap, v1 Secret, v1 ServiceAccount, apps/v1 Deployment, networking.k8s.io/v1 Ingress`}},
		{"kind of another group", "apiVersion: apps/v1", "apiVersion: extensions/v1beta1", []string{
			`web.yaml:6: Deployment is of apps/v1, not of "extensions/v1beta1"`}},
		{"no kind", "kind: Namespace\n", "", []string{
			`web.yaml:1: the object's kind is missing or no text`}},
		{"no name", "metadata:\n  name: web\n---", "metadata: {}\n---", []string{
			`web.yaml:3: the object's name is missing or no text`}},
		{"unknown field", "  replicas: 3", "  replica: 3", []string{
			`web.yaml:12: unknown field "replica" in spec; did you mean "replicas"?`}},
		{"unknown field deep down", "          image: nginx:latest", "          imagee: nginx:latest", []string{
			`web.yaml:21: unknown field "imagee" in spec.template.spec.containers[0]; did you mean "image"?`}},
		{"wrong type", "  replicas: 3", "  replicas: three", []string{
			`web.yaml:12: spec.replicas: want a whole number, have the text "three"`}},
		{"too large", "  replicas: 3", "  replicas: 3000000000", []string{
			`web.yaml:12: spec.replicas: want a whole number that fits in 32 bits, have the number 3000000000`}},
		{"quantity", "memory: 64Mi", "memory: 64MiB", []string{
			`web.yaml:23: spec.template.spec.containers[0].resources.requests.memory: the text "64MiB" does not fit: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`}},
		{"duplicate key", "  replicas: 3", "  replicas: 3\n  replicas: 4", []string{
			`web.yaml:13: duplicate key "replicas", first on line 12`}},
		{"twice", "---\napiVersion: v1\nkind: Service", "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n---\napiVersion: v1\nkind: Service", []string{
			`web.yaml:25: Namespace/web is there twice, first at web.yaml:1`}},
		{"namespace of a Namespace", "  name: web\n---", "  name: web\n  namespace: web\n---", []string{
			`web.yaml:5: a Namespace has no namespace`}},
		{"old boolean", "image: busybox", "image: yes", []string{
			`web.yaml:38: yes is true to Kubernetes and text to others: write true, or "yes" in quotes`}},
		{"not an object", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: web\n", "- a\n", []string{
			`web.yaml:1: want a Kubernetes object, have a list`}},
		{"not base64", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: web\n", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: \"*\"}\n", []string{
			`web.yaml:4: data.a: want base64, have the text "*"`}},
		{"text where a mapping is wanted", "matchLabels: {app: web}", "matchLabels: web", []string{
			`web.yaml:14: spec.selector.matchLabels: want a mapping, have the text "web"`}},
		{"text where a list is wanted", "  ports: [{port: 80, targetPort: http}]", "  ports: 80", []string{
			`web.yaml:32: spec.ports: want a list, have the number 80`}},
		{"no metadata", "metadata: {name: client, namespace: web}\n", "", []string{
			`web.yaml:34: the Pod has no metadata`}},
		{"several at once", "  replicas: 3\n  selector:\n    matchLabels: {app: web}", "  replicas: x\n  selector: 1", []string{
			`web.yaml:12: spec.replicas: want a whole number, have the text "x"`,
			`web.yaml:13: spec.selector: want a mapping, have the number 1`}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			wantErr(t, check(full, replaced(t, web, row.old, row.new)), row.want...)
		})
	}
}
