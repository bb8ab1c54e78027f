package captoken

import (
	"errors"
	"fmt"

	"github.com/remint-go/remint"
)

// ErrInvalid says that the text is no capabilities token that is valid here and now: malformed,
// not signed by a key of the verifier's, expired, beyond what its key may grant, for something
// else, or from elsewhere. Compare with [errors.Is], and tell a client no more than that;
// the text of an error that wraps it says why, for logs. It names a key ID and tokens' IDs,
// and has nothing else of what the token says. (HTTP 403 in Katapult's format, else 401)
var ErrInvalid = errors.New("captoken: capabilities token not valid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// problems collects what is wrong with the arguments of one call.
type problems []error

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, &remint.InputError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// err returns nil, the one problem, or several joined.
func (p problems) err() error {
	if len(p) == 1 {
		return p[0]
	}
	return errors.Join(p...)
}
