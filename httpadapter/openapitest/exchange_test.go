package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// An exchange is one that the adapter's tests recorded: the form is theirs, in record_test.go.
type exchange struct {
	Test    string
	Pattern string
	Method  string
	URL     string

	Header http.Header
	Body   []byte
	Whole  bool

	Status       int
	AnswerHeader http.Header
	Answer       []byte
	AnswerWhole  bool
}

func (e exchange) String() string {
	answer := e.Answer
	if len(answer) > 400 {
		answer = answer[:400]
	}
	return fmt.Sprintf("%s\n\t%s %s → %d %s", e.Test, e.Method, e.URL, e.Status, answer)
}

// served reports whether the request was not refused.
func (e exchange) served() bool { return e.Status < http.StatusBadRequest }

func (e exchange) request() (*http.Request, error) {
	r, err := http.NewRequest(e.Method, "http://service"+e.URL, bytes.NewReader(e.Body))
	if err != nil {
		return nil, err
	}
	if e.Header != nil {
		r.Header = e.Header.Clone()
	}
	// A body is read as JSON where it is declared to be any kind of it, or nothing.
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if len(e.Body) > 0 && (media == "" || strings.HasSuffix(media, "+json")) {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// check holds an exchange against the description, and notes what was seen.
func (f *format) check(e exchange) error {
	r, err := e.request()
	if err != nil {
		return err
	}
	name, route, path := f.find(r)
	if f.seen[name] == nil {
		f.seen[name] = map[int]int{}
	}
	f.seen[name][e.Status]++

	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: path, Route: route, QueryParams: r.URL.Query(),
		Options: &openapi3filter.Options{
			AuthenticationFunc: authenticated, SkipSettingDefaults: true, IncludeResponseStatus: true,
			ExcludeRequestBody: !e.Whole, MultiError: true,
		},
	}
	var list []error
	if e.served() && name != elsewhere {
		list = append(list, openapi3filter.ValidateRequest(context.Background(), input))
	}
	return errors.Join(append(list, f.checkAnswer(e, input, route))...)
}

// ordinary are the headers that any answer may have.
var ordinary = []string{"Content-Type", "Content-Length", "Date"}

func (f *format) checkAnswer(e exchange, input *openapi3filter.RequestValidationInput, route *routers.Route) error {
	ref := route.Operation.Responses.Status(e.Status)
	if ref == nil {
		return fmt.Errorf("the status %d is not described", e.Status)
	}
	described := ref.Value
	var list []error
	for name := range e.AnswerHeader {
		isName := func(other string) bool { return http.CanonicalHeaderKey(other) == name }
		if !slices.ContainsFunc(ordinary, isName) && !slices.ContainsFunc(keys(described.Headers), isName) {
			list = append(list, fmt.Errorf("the header %s is not described", name))
		}
	}
	options := *input.Options
	options.ExcludeResponseBody = !e.AnswerWhole
	switch {
	case e.Method == http.MethodHead:
		// The validator leaves answers to HEAD alone: they have the headers of a GET's.
		options.ExcludeResponseBody = true
		input.Request.Method = http.MethodGet
	case len(described.Content) == 0 && len(e.Answer) > 0:
		list = append(list, fmt.Errorf("the answer has a body, and none is described"))
	}
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: e.Status, Header: e.AnswerHeader,
		Body: io.NopCloser(bytes.NewReader(e.Answer)), Options: &options,
	})
	var answer struct{ Code any }
	if json.Unmarshal(e.Answer, &answer) == nil && answer.Code != nil {
		f.codes[fmt.Sprint(answer.Code)] = true
	}
	return errors.Join(append(list, err)...)
}

func keys(headers openapi3.Headers) (names []string) {
	for name := range headers {
		names = append(names, name)
	}
	return names
}

// authenticated is the error of a request that lacks the credential which is described. A
// service may name cookies, and the header of capabilities tokens, as it likes.
func authenticated(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	r, scheme := input.RequestValidationInput.Request, input.SecurityScheme
	present := false
	switch {
	case scheme.Type == "http" && scheme.Scheme == "bearer":
		word, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		present = strings.EqualFold(word, "bearer")
	case scheme.Type == "apiKey" && scheme.In == "cookie":
		present = len(r.Cookies()) > 0
	case scheme.Type == "apiKey" && scheme.In == "query":
		present = r.URL.Query().Has(scheme.Name)
	case scheme.Type == "apiKey" && scheme.In == "header":
		present = r.Header.Get(scheme.Name) != ""
	}
	if !present {
		return fmt.Errorf("the request has no credential for %s", input.SecuritySchemeName)
	}
	return nil
}
