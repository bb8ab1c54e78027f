package httpadapter

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/remint-go/remint"
)

// A failure is why a route gives no answer: what each format has a word of its own for.
type failure struct {
	kind kind
	err  error               // the cause
	from netip.Addr          // the client, as far as it is known
	need []remint.Capability // what the route needs: any one of them
	wait int                 // seconds until a request that was one too many is let in
}

type kind uint8

const (
	internal     kind = iota // this service's fault, and no store's
	noCredential             // nothing was presented
	denied                   // not a live token
	network                  // a live one, but not from there
	second                   // a live one, with a capabilities token that is not
	tooMany                  // it has made too many requests
	needed                   // it has none of the capabilities that the route needs
	beyond                   // what it asks for is beyond its authority
	badKey                   // an Idempotency-Key that is none
	keyReused                // one that was used for another request
	badInput                 // arguments or a body that cannot be used
	notFound                 // no such token
	conflict                 // somebody else was faster
	ended                    // the token has expired, and cannot be changed
	unavailable              // the store failed, or time ran out: nothing is said about any token
	noRoute                  // no such path
	noMethod                 // no such method on this path
)

// reusedKey is what is said of an Idempotency-Key that was used for another request.
const reusedKey = "Idempotency-Key was used for another request: take a new key for each, and repeat a request as it was"

var (
	errNoCredential = errors.New("httpadapter: no credential")
	errNoRoute      = errors.New("httpadapter: no such route")
	errNoMethod     = errors.New("httpadapter: no such method")
)

// A serverFault is an error that would be the client's, had the client said what it is about.
type serverFault struct{ error }

func (e serverFault) Unwrap() error { return e.error }

// ours returns what was an unusable argument as this service's fault: the client passed none.
func ours(err error) error {
	if kindOf(err) == badInput {
		return serverFault{err}
	}
	return err
}

// kindOf sorts an error. A store's own error may be anything, so that ErrUnavailable,
// which wraps it, is looked for first.
func kindOf(err error) kind {
	if _, ok := errors.AsType[serverFault](err); ok {
		return internal
	}
	if _, ok := errors.AsType[secondError](err); ok {
		return second
	}
	if _, ok := errors.AsType[*limitError](err); ok {
		return tooMany
	}
	for _, k := range [...]struct {
		err  error
		kind kind
	}{
		{remint.ErrUnavailable, unavailable},
		{context.Canceled, unavailable},
		{context.DeadlineExceeded, unavailable},
		{errNoCredential, noCredential},
		{remint.ErrNetwork, network},
		{remint.ErrDenied, denied},
		{remint.ErrMissingCapability, needed},
		{remint.ErrForbidden, beyond},
		{remint.ErrNotFound, notFound},
		{remint.ErrConflict, conflict},
		{remint.ErrEnded, ended},
		{errNoRoute, noRoute},
		{errNoMethod, noMethod},
	} {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	if err == errRetryKey {
		return badKey
	}
	if isReusedKey(err) {
		return keyReused
	}
	if _, ok := errors.AsType[*bodyError](err); ok {
		return badInput
	}
	if _, ok := errors.AsType[*remint.InputError](err); ok {
		return badInput
	}
	return internal
}

// inputs returns the problems that are joined in err.
func inputs(err error) []*remint.InputError {
	var list []*remint.InputError
	switch e := err.(type) {
	case *remint.InputError:
		list = append(list, e)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			list = append(list, inputs(err)...)
		}
	case interface{ Unwrap() error }:
		list = inputs(e.Unwrap())
	}
	return list
}

// rename returns err with a format's names for the fields of the [remint.Spec] that it is
// about, or err itself if it is about none. name is given a field, such as "Networks", and
// its index, such as "[2]" or ""; where it returns "", that problem is left out.
func rename(err error, name func(field, index string) string) error {
	problems := inputs(err)
	if problems == nil || isReusedKey(err) {
		return err
	}
	var list []error
	for _, e := range problems {
		field := e.Field[strings.LastIndexByte(e.Field, '.')+1:]
		index := ""
		if at := strings.IndexByte(field, '['); at >= 0 {
			field, index = field[:at], field[at:]
		}
		if field = name(field, index); field != "" {
			list = append(list, &remint.InputError{Field: field, Problem: e.Problem})
		}
	}
	return errors.Join(list...)
}

// status returns what HTTP calls a failure: for the formats that follow it.
func (f failure) status() int {
	switch f.kind {
	case noCredential, denied, network:
		return http.StatusUnauthorized
	case second, needed, beyond:
		return http.StatusForbidden
	case tooMany:
		return http.StatusTooManyRequests
	case badKey, badInput:
		return http.StatusBadRequest
	case keyReused:
		return http.StatusUnprocessableEntity
	case notFound, noRoute:
		return http.StatusNotFound
	case noMethod:
		return http.StatusMethodNotAllowed
	case conflict, ended:
		return http.StatusConflict
	case unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
