package scenario

import (
	"strings"
	"testing"
)

func TestCatalog(t *testing.T) {
	named := func(area, name string) string {
		return strings.Replace(minimal, "area: elb, name: small", "area: "+area+", name: "+name, 1)
	}
	c, err := NewCatalog(folderOf(map[string]string{
		"elb/slow/scenario.yaml":   named("elb", "slow"),
		"elb/slow/README.md":       "",
		"dns/lookup/scenario.yaml": named("dns", "lookup"),
		"dns/README.md":            "",
		"dns/empty/README.md":      "",
		"scenario.schema.json":     "{}",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Slugs(), " "); got != "dns/lookup elb/slow" {
		t.Errorf("slugs: %s", got)
	}
	all, err := c.All()
	if err != nil || len(all) != 2 || all[1].Slug() != "elb/slow" {
		t.Errorf("all: %v, %v", all, err)
	}
	for _, slug := range []string{"slow", "elb/slow"} {
		s, err := c.Find(slug)
		if err != nil || s != all[1] {
			t.Errorf("%s: %v, %v", slug, s, err)
		}
	}
	for slug, want := range map[string]string{
		"slo":      `unknown scenario "slo"; did you mean "slow"?`,
		"elb/slwo": `unknown scenario "elb/slwo"; did you mean "elb/slow"?`,
		"dns/slow": `unknown scenario "dns/slow"; did you mean "slow"?`,
		"zzzzz":    `unknown scenario "zzzzz"; there are lookup, slow`,
		"":         `unknown scenario ""; there are lookup, slow`,
	} {
		_, err := c.Find(slug)
		wantErr(t, err, want)
	}
}

func TestCatalogMistakes(t *testing.T) {
	_, err := NewCatalog(folderOf(map[string]string{"elb/small/scenario.yaml": minimal, "dns/small/scenario.yaml": minimal}))
	wantErr(t, err, "elb/small/scenario.yaml:1: dns/small has this name, too: names are unique over all areas")

	c, err := NewCatalog(folderOf(map[string]string{"dns/small/scenario.yaml": minimal, "elb/bad/scenario.yaml": "a: [\n"}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Find("small")
	wantErr(t, err, "dns/small/scenario.yaml:3: the scenario calls itself elb/small, but its folder is dns/small")
	_, err = c.Find("bad")
	wantErr(t, err, "elb/bad/scenario.yaml:1: not valid YAML: did not find expected node content")
	if _, err := c.All(); err == nil {
		t.Error("a catalog with a scenario that cannot be read has them all")
	}
}
