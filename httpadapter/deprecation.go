package httpadapter

import (
	"net/http"
	"strconv"

	"github.com/remint-go/remint"
)

// deprecate tells a caller that its secret, or token, has been replaced. It may go on in
// clients that nobody has told; who reads logs finds them by this.
func (a *Adapter) deprecate(h http.Header, tok remint.Token) {
	if !a.deprecation || !tok.Retiring() {
		return
	}
	s := tok.State()
	if !s.RotatedAt.IsZero() {
		h.Set("Deprecation", "@"+strconv.FormatInt(s.RotatedAt.Unix(), 10))
	}
	end := tok.RetiresAt()
	if at := tok.ExpiresAt(); end.IsZero() || !at.IsZero() && at.Before(end) {
		end = at
	}
	if !end.IsZero() {
		h.Set("Sunset", end.UTC().Format(http.TimeFormat))
	}
}
