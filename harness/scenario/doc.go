// Package scenario is the file format of scenarios: what a scenario.yaml and the Kubernetes manifests beside it say,
// checked strictly, and what they come to for one variant and one set of parameters.
//
//	s, err := scenario.LoadPath("my/nlb-hairpin")     // form: fields, types, bounds
//	err = s.Validate(observe.All())                   // everything else that can be known without a run
//	plan, err := s.Resolve("broken", map[string]string{"nodesPerZone": "4,4,4"})
//
// A Plan is concrete: it has the world, typed Kubernetes objects, the timeline, the load and the expectations, and no
// expression is left in it but those that read observations.
//
// # Expressions
//
// They are CEL. `when`, `that`, `rules` and `let` are CEL as they stand; anywhere else in the world, the patches, the
// timeline, the load and the defaults of parameters, ${CEL} stands for a value. Alone in a scalar it keeps its type, so
// that '${params.replicas}' is a number; within longer text it is written out. $${ is ${ itself. An item of a list in
// the world, timeline or load, and a patch, may have a `when`; the item is left out where that is false. It may have a
// `forEach`, CEL that is a list: then it is there once for each item of that, and `each` is the item in its expressions.
//
// params.x is a parameter, let.x a name of the `let` section, obs.x an observation (in expectations only). A parameter
// that is unset is null. Beyond CEL's own functions there are near(observed, p, n), which says whether a share observed
// in n samples is within 4 standard deviations of p, sum(list), eniLimits(type), which says how many network interfaces
// an EC2 instance type takes and how many addresses each of them, and the extensions of cel-go for numbers (math.greatest
// and more), for lists (lists.range, flatten, slice and more) and for names within an expression (cel.bind).
// Unlike CEL, let is a name here, not a reserved word.
//
// # Errors
//
// A mistake is a Problem with file and line; all that are found are returned at once, as *Problems. Input is hostile
// until shown otherwise: files over 1 MiB are not read, aliases and nesting are bounded, and an expression has a budget.
//
// Does not model: kinds of Kubernetes objects other than those named in objectKinds, YAML merge keys, and add-ons other
// than the VPC CNI, kube-proxy and CoreDNS. Asking for them is a Problem that says what there is.
package scenario
