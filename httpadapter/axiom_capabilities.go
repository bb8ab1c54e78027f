package httpadapter

import (
	"net/url"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

// Axiom's capabilities are verbs on resources, of the organization or of one dataset or
// view by its name. In remint they are paths:
//
//	"orgCapabilities":     {"apiTokens": ["update"]}         org:apiTokens:update
//	"datasetCapabilities": {"logs": {"ingest": ["create"]}}  dataset:logs:ingest:create
//	"datasetCapabilities": {"*": {"query": ["read"]}}        dataset:*:query:read
//	"viewCapabilities":    {"v1": {"query": ["read"]}}       view:v1:query:read
//
// The name "*" is every dataset. Documented for datasets only, it is the same for views.

// The resources and their verbs, as in the published description (orgCapabilities,
// datasetCapabilities and viewCapabilities of the token).
var (
	axiomOrg = map[string][]string{
		"annotations":      allVerbs,
		"apiTokens":        allVerbs,
		"auditLog":         {"read"},
		"billing":          {"read", "update"},
		"dashboards":       allVerbs,
		"datasets":         allVerbs,
		"endpoints":        allVerbs,
		"flows":            allVerbs,
		"integrations":     allVerbs,
		"monitors":         allVerbs,
		"notifiers":        allVerbs,
		"rbac":             allVerbs,
		"sharedAccessKeys": {"read", "update"},
		"users":            allVerbs,
		"views":            allVerbs,
	}
	axiomDataset = map[string][]string{
		"data":           {"delete"},
		"ingest":         {"create"},
		"query":          {"read"},
		"share":          {"create", "read", "delete"},
		"starredQueries": allVerbs,
		"trim":           {"update"},
		"vacuum":         {"update"},
		"virtualFields":  allVerbs,
	}
	axiomView = map[string][]string{
		"query": {"read"},
		"share": {"create", "read", "delete"},
	}
	allVerbs = []string{"create", "read", "update", "delete"}
)

// maxAxiomName bounds the name of a dataset or view, in bytes: encoded, each may take three,
// and a capability has at most 512.
const maxAxiomName = 128

// readAxiomCapabilities reads the three maps of n, and names every problem in them; path is
// where n is, with a dot after it. What is missing, null or an empty list is nothing; a
// token without any capability is wrong.
func readAxiomCapabilities(f *form, n node, path string) remint.Capabilities {
	before := len(f.problems)
	var list []string
	add := func(c remint.Capability) {
		if !slices.Contains(list, string(c)) {
			list = append(list, string(c))
		}
	}
	if org := n.get("orgCapabilities"); f.object(org, path+"orgCapabilities") {
		readAxiomVerbs(f, org, path+"orgCapabilities", axiomOrg, func(resource, verb string) {
			add(remint.Join("org", resource, verb))
		})
	}
	named := func(key, kind string, resources map[string][]string) {
		group := n.get(key)
		if !f.object(group, path+key) {
			return
		}
		for i, name := range group.keys {
			at := path + key + "[" + quote(name) + "]"
			if name == "" || len(name) > maxAxiomName || strings.ContainsFunc(name, isControl) {
				f.wrong(at, "a name has 1 to %d bytes, and no control characters", maxAxiomName)
				continue
			}
			if f.object(group.values[i], at) {
				readAxiomVerbs(f, group.values[i], at, resources, func(resource, verb string) {
					if name == "*" {
						add(remint.Capability(kind + ":*:" + resource + ":" + verb))
						return
					}
					add(remint.Join(kind, name, resource, verb))
				})
			}
		}
	}
	named("datasetCapabilities", "dataset", axiomDataset)
	named("viewCapabilities", "view", axiomView)

	if len(list) == 0 && len(f.problems) == before {
		f.wrong(strings.TrimSuffix(path, "."), "at least one capability must be set")
	}
	caps, err := remint.ParseCapabilities(list)
	f.also(rename(err, axiomNames(path, "")))
	return caps
}

// readAxiomVerbs reads {"resource": ["verb", …], …}, in the order sent.
func readAxiomVerbs(f *form, n node, path string, resources map[string][]string, add func(resource, verb string)) {
	for i, resource := range n.keys {
		at := path + "." + resource
		verbs, known := resources[resource]
		if !known {
			f.wrong(path, "%s is not a resource", quote(resource))
			continue
		}
		for _, verb := range f.texts(n.values[i], at) {
			if !slices.Contains(verbs, verb) {
				f.wrong(at, "%s is not one of %s", quote(verb), strings.Join(verbs, ", "))
				continue
			}
			add(resource, verb)
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// axiomCapabilities are the three maps of a token.
type axiomCapabilities struct {
	Dataset map[string]axiomVerbs `json:"datasetCapabilities"`
	Org     axiomVerbs            `json:"orgCapabilities"`
	View    map[string]axiomVerbs `json:"viewCapabilities,omitempty"`
}

type axiomVerbs map[string][]string

// encodeAxiomCapabilities returns those capabilities that the format has words for, the
// verbs in the order in which they were given. Others, such as a master's "*", are left out.
func encodeAxiomCapabilities(caps remint.Capabilities) axiomCapabilities {
	a := axiomCapabilities{
		Dataset: map[string]axiomVerbs{},
		Org:     axiomVerbs{},
		View:    map[string]axiomVerbs{},
	}
	for c := range caps.All() {
		parts := strings.Split(string(c), ":")
		switch {
		case len(parts) == 3 && parts[0] == "org":
			a.Org.add(axiomOrg, parts[1], parts[2])
		case len(parts) == 4 && parts[0] == "dataset":
			addNamed(a.Dataset, axiomDataset, parts)
		case len(parts) == 4 && parts[0] == "view":
			addNamed(a.View, axiomView, parts)
		}
	}
	return a
}

func (v axiomVerbs) add(resources map[string][]string, resource, verb string) {
	if slices.Contains(resources[resource], verb) {
		v[resource] = append(v[resource], verb)
	}
}

func addNamed(to map[string]axiomVerbs, resources map[string][]string, parts []string) {
	if parts[1] == "%2A" || !slices.Contains(resources[parts[2]], parts[3]) {
		return // one dataset whose name is an asterisk cannot be told from every dataset
	}
	name, err := url.PathUnescape(parts[1])
	if err != nil {
		return // no capability holds such a segment
	}
	if to[name] == nil {
		to[name] = axiomVerbs{}
	}
	to[name].add(resources, parts[2], parts[3])
}
