package httpadapter

import (
	"strings"
	"time"

	"github.com/remint-go/remint"
)

// axiomToken is the documented token, with a secret where one is shown.
func axiomToken(tok remint.Token, secret string) any {
	spec := tok.Spec()
	t := struct {
		ID          string     `json:"id"`
		Name        string     `json:"name"`
		Description string     `json:"description"`
		ExpiresAt   *time.Time `json:"expiresAt"`
		axiomCapabilities
		SAMLAuthenticated bool   `json:"samlAuthenticated"`
		Token             string `json:"token,omitempty"`
	}{
		ID:                tok.ID().String(),
		Name:              spec.Name,
		Description:       spec.Description,
		axiomCapabilities: encodeAxiomCapabilities(spec.Capabilities),
		SAMLAuthenticated: tok.Attribute("samlAuthenticated") == "true",
		Token:             secret,
	}
	// Of a token that has a successor, this is when it stops.
	if at := tok.ExpiresAt(); !at.IsZero() {
		t.ExpiresAt = &at
	}
	return t
}

// readAxiomToken reads what a client may say about a token; path is where n is, with a
// dot after it. A name may be missing: the documentation requires one, and the
// service takes an empty one.
func readAxiomToken(f *form, n node, path string) remint.Spec {
	return remint.Spec{
		Name:         f.text(n.get("name"), path+"name"),
		Description:  f.text(n.get("description"), path+"description"),
		ExpiresAt:    f.time(n.get("expiresAt"), path+"expiresAt"),
		Capabilities: readAxiomCapabilities(f, n, path),
	}
}

// axiomNames returns the format's names for the fields of a Spec: path is where the body has
// it, and expiry what an expiry is called.
func axiomNames(path, expiry string) func(field, index string) string {
	return func(field, _ string) string {
		switch field {
		case "Name":
			return path + "name"
		case "Description":
			return path + "description"
		case "ExpiresAt":
			return expiry
		case "Capabilities":
			return path + "capabilities"
		case "Successor":
			return "id" // a session has none
		}
		return field
	}
}

// axiomInputs returns an error about a [remint.Spec] in the format's words: with its names for
// the fields, and without the names of options, which no client can set.
func axiomInputs(err error, name func(field, index string) string) error {
	err = rename(err, name)
	for _, e := range inputs(err) {
		e.Problem = axiomWords.Replace(e.Problem)
	}
	return err
}

var axiomWords = strings.NewReplacer(
	", and Options.MaxLifetime is ", ", and a token here lives for at most ",
	" away, which is Options.MaxLifetime", " away, and no token here lives longer",
	"the zero time stands for never", "null stands for never",
)
