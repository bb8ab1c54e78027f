package openapitest

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/remint-go/remint/httpadapter"
)

// A format is a wire format's description, and what was seen of it.
type format struct {
	name string
	doc  *openapi3.T
	root *regexp.Regexp // of the paths that are its; what it captures is where they are mounted

	operations *http.ServeMux // an OpenAPI path is a pattern of net/http's
	routes     map[string]*routers.Route
	elsewhere  *routers.Route // answers where no operation does: x-elsewhere

	seen  map[string]map[int]int // how often: by operation, and status
	codes map[string]bool        // error codes in answers
}

// elsewhere is what an exchange belongs to that is no operation's.
const elsewhere = "elsewhere"

func formats(t *testing.T) []*format {
	return []*format{
		load(t, httpadapter.PocketPawDescription, `^()/api/(v1/)?(token|auth)/`),
		load(t, httpadapter.AxiomDescription, `^()/v2/`),
		load(t, httpadapter.KatapultDescription, `^()/core/v1/`),
		load(t, httpadapter.NativeDescription, `^(/.*?)?/(tokens|introspect|revoke)(/|$)`),
	}
}

func load(t *testing.T, d httpadapter.Description, root string) *format {
	t.Helper()
	f := &format{
		name: d.String(), root: regexp.MustCompile(root), operations: http.NewServeMux(), routes: map[string]*routers.Route{},
		seen: map[string]map[int]int{}, codes: map[string]bool{},
	}
	var err error
	if f.doc, err = openapi3.NewLoader().LoadFromData(d.YAML()); err != nil {
		t.Fatalf("%s: %v", d, err)
	}
	for _, server := range f.doc.Servers {
		base := server.URL
		for name, variable := range server.Variables {
			base = strings.ReplaceAll(base, "{"+name+"}", variable.Default)
		}
		base = strings.TrimSuffix(base, "/")
		for path, item := range f.doc.Paths.Map() {
			for method, op := range item.Operations() {
				name := method + " " + path
				f.operations.Handle(method+" "+base+path, keep(name))
				f.routes[name] = &routers.Route{Spec: f.doc, Server: server, Path: path, PathItem: item, Method: method, Operation: op}
			}
		}
	}
	f.elsewhere = &routers.Route{Spec: f.doc, PathItem: &openapi3.PathItem{}, Operation: &openapi3.Operation{Responses: openapi3.NewResponsesWithCapacity(4)}}
	extension, _ := f.doc.Extensions["x-elsewhere"].(map[string]any)
	for status, ref := range extension {
		text, _ := ref.(map[string]any)["$ref"].(string)
		response := f.doc.Components.Responses[strings.TrimPrefix(text, "#/components/responses/")]
		if response == nil {
			t.Fatalf("%s: x-elsewhere: %s: %v is no response", d, status, ref)
		}
		f.elsewhere.Operation.Responses.Set(status, response)
	}
	f.routes[elsewhere] = f.elsewhere
	return f
}

// keep is a handler that only has a name.
type keep string

func (keep) ServeHTTP(http.ResponseWriter, *http.Request) {}

// find returns the operation that a request is for, and the values in its path.
func (f *format) find(r *http.Request) (name string, route *routers.Route, path map[string]string) {
	h, pattern := f.operations.Handler(r)
	if pattern == "" {
		return elsewhere, f.elsewhere, nil
	}
	f.operations.ServeHTTP(nil, r) // sets the path's values
	name = string(h.(keep))
	path = map[string]string{}
	for part := range strings.SplitSeq(pattern, "/") {
		if wildcard, ok := strings.CutPrefix(part, "{"); ok {
			wildcard = strings.TrimSuffix(wildcard, "}")
			path[wildcard] = r.PathValue(wildcard)
		}
	}
	return name, f.routes[name], path
}

func TestEachDescriptionIsOpenAPI31(t *testing.T) {
	for _, f := range formats(t) {
		if !strings.HasPrefix(f.doc.OpenAPI, "3.1.") {
			t.Errorf("%s: openapi: %s", f.name, f.doc.OpenAPI)
		}
		if err := f.doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableMultiError()); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// What an answer may hold is listed, all of it: else a field that nobody described would pass.
func TestEachObjectInAnAnswerListsItsFields(t *testing.T) {
	for _, f := range formats(t) {
		for name, route := range f.routes {
			for status, response := range route.Operation.Responses.Map() {
				for media, content := range response.Value.Content {
					open(content.Schema, map[*openapi3.Schema]bool{}, func(s *openapi3.Schema) {
						t.Errorf("%s: %s: %s: %s: an object without additionalProperties: %v", f.name, name, status, media, s.Properties)
					})
				}
			}
		}
	}
}

// open reports objects in a schema that may have any property.
func open(ref *openapi3.SchemaRef, known map[*openapi3.Schema]bool, report func(*openapi3.Schema)) {
	if ref == nil || ref.Value == nil || known[ref.Value] {
		return
	}
	s := ref.Value
	known[s] = true
	if s.Type != nil && s.Type.Includes("object") && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		report(s)
	}
	open(s.AdditionalProperties.Schema, known, report)
	open(s.Items, known, report)
	for _, p := range s.Properties {
		open(p, known, report)
	}
	for _, list := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
		for _, one := range list {
			open(one, known, report)
		}
	}
}

// described returns the error codes that a description has words for: what a property named
// code may be, anywhere in an answer.
func (f *format) described() map[string]bool {
	codes := map[string]bool{}
	known := map[*openapi3.Schema]bool{}
	var walk func(ref *openapi3.SchemaRef)
	walk = func(ref *openapi3.SchemaRef) {
		if ref == nil || ref.Value == nil || known[ref.Value] {
			return
		}
		s := ref.Value
		known[s] = true
		for name, p := range s.Properties {
			walk(p)
			if name != "code" {
				continue
			}
			if p.Value.Const != nil {
				codes[fmt.Sprint(p.Value.Const)] = true
			}
			for _, one := range p.Value.Enum {
				codes[fmt.Sprint(one)] = true
			}
		}
		for _, list := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
			for _, one := range list {
				walk(one)
			}
		}
	}
	for _, route := range f.routes {
		for _, response := range route.Operation.Responses.Map() {
			for _, content := range response.Value.Content {
				walk(content.Schema)
			}
		}
	}
	return codes
}
