package observe

// Family is a group of observations that are made together.
type Family string

// Families.
const (
	// OfFlows are observations of calls through a load balancer and of their connections.
	OfFlows Family = "flows"
)

// All returns every observation that a scenario may name.
func All() Vocabulary {
	v := Vocabulary{}
	for _, docs := range [][]Doc{flowDocs, rolloutDocs} {
		for _, d := range docs {
			if _, twice := v[d.Name]; twice {
				panic("observe: " + d.Name + " is documented twice")
			}
			v[d.Name] = d
		}
	}
	return v
}

// Families lists the families of some observations, each once, in the order in which they are first named. A name that is not in the
// vocabulary has none.
func (v Vocabulary) Families(names []string) (out []Family) {
	seen := map[Family]bool{}
	for _, n := range names {
		if d, ok := v[n]; ok && !seen[d.Family] {
			seen[d.Family] = true
			out = append(out, d.Family)
		}
	}
	return out
}

// both is the backends that can show what any backend can.
var both = []string{"sim", "kind"}

// family completes the documentation of observations of one family. Meanings are written for a reader of `ekslab list -o json`; a definition
// stands there once and nowhere else.
func family(f Family, backends []string, docs ...Doc) []Doc {
	for i := range docs {
		docs[i].Family, docs[i].Backends = f, backends
	}
	return docs
}
