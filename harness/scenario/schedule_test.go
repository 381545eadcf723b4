package scenario

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	p := Parameter{Name: "later", Type: TypeSchedule}
	for _, c := range []struct{ text, want string }{ // want is what it comes to, ! for an error
		{"none", ""},
		{"", ""},
		{"1:6@120", "1:6@120"},
		{"1:6@120,2:0@300", "1:6@120,2:0@300"},
		{"2:0@300, 1:6@120", "1:6@120,2:0@300"}, // in order of time
		{"1:2@5,2:2@5", "1:2@5,2:2@5"},
		{"2:2@5,1:2@5", "2:2@5,1:2@5"}, // at one time as given
		{"1:2@0.25", "1:2@0.25"},
		{"1:2@5,1:3@5", "!"}, // two at once
		{"0:2@5", "!"},       // nodes count from 1
		{"01:2@5", "!"},
		{"-1:2@5", "!"},
		{"1:-2@5", "!"},
		{"1:2", "!"},
		{"1@5", "!"},
		{"1:2@5s", "!"},
		{"1:2@", "!"},
		{"1:2@1e3", "!"},
		{"1:2@5,", "!"},
		{"1:2.5@5", "!"},
		{"1:2@99999999", "!"}, // three years
		{"1:9999999999@5", "!"},
		{"None", "!"},
		{"null", "!"},
	} {
		v, err := p.Parse(c.text)
		switch {
		case c.want == "!":
			if err == nil {
				t.Errorf("%q is %v", c.text, v)
			}
		case err != nil:
			t.Errorf("%q: %v", c.text, err)
		case FormatValue(v) != c.want:
			t.Errorf("%q is %q, want %q", c.text, FormatValue(v), c.want)
		}
	}
	v, _ := p.Parse("7:3@1.5")
	if s := v.([]any)[0].(Step); s.Key != 7 || s.Count != 3 || s.At != 1500*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

// What YAML may have of a schedule, and what expressions see of it.
func TestScheduleInAScenario(t *testing.T) {
	const parameter = `later: {type: schedule, default: none, doc: Later.}`
	text := replaced(t, minimal, "world:\n", "parameters:\n  "+parameter+"\nworld:\n")
	text = replaced(t, text, "size: 1}", `size: "${params.later.filter(s, s.key == 2 && s.at > duration('1s')).size() + 1}"}`)
	for _, c := range []struct {
		value string
		size  int // of the node group; 0 for an error
	}{
		{"none", 1},
		{"'2:4@5'", 2},
		{"'2:4@5,2:5@6,2:6@1,1:1@9'", 3},
		{"['2:4@5', '2:5@6']", 3},
		{"[]", 1},
		{"[none]", 1},
		{"5", 0},
		{"['']", 0},
		{"[5]", 0},
		{"{}", 0},
		{"null", 1}, // may be left unset
	} {
		s, err := loadText(replaced(t, text, "default: none", "default: "+c.value), web)
		if err != nil {
			if c.size != 0 {
				t.Errorf("%s: %v", c.value, err)
			}
			continue
		}
		plan, err := s.Resolve("broken", nil)
		if err != nil {
			if c.value != "null" {
				t.Errorf("%s: %v", c.value, err)
			}
			continue
		}
		if n := plan.World.NodeGroups[0].Size; n != c.size {
			t.Errorf("%s: %d nodes, want %d", c.value, n, c.size)
		}
	}
}
