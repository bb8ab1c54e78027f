package httpadapter

import (
	"encoding/json"
	"net/http"

	"github.com/remint-go/remint"
)

// tokenJSON is a token as [remint.Token.MarshalJSON] has it, with "session":true where it is
// one, and with a secret where one is shown.
func tokenJSON(tok remint.Token, secret string) json.RawMessage {
	b, err := json.Marshal(tok)
	if err != nil {
		panic("httpadapter: " + err.Error()) // it holds texts, numbers and times within RFC 3339's
	}
	more, err := json.Marshal(struct {
		Session bool   `json:"session,omitempty"`
		Secret  string `json:"secret,omitempty"`
	}{tok.IsSession(), secret})
	if err != nil {
		panic("httpadapter: " + err.Error())
	}
	if len(more) == len("{}") {
		return b
	}
	return append(append(b[:len(b)-1], ','), more[1:]...)
}

func (c *call) writeToken(tok remint.Token) error {
	c.w.Header().Set("ETag", etag(tok))
	return c.write(tokenJSON(tok, ""))
}

// writeGrant answers with a new secret; with 201, the token is new, too.
func (n native) writeGrant(c *call, status int, g remint.Grant) error {
	c.w.Header().Set("ETag", etag(g.Token))
	if status == http.StatusCreated {
		c.w.Header().Set("Location", n.Path+"/tokens/"+g.Token.ID().String())
	}
	writeJSON(c.w, status, tokenJSON(g.Token, reveal(c.w, g)))
	return nil
}
