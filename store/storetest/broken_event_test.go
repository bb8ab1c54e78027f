package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

var brokenEvents = []broken{
	{"an event keeps all its fields", "forgets the zone of an address", logging(func(e *remint.Event) { e.From = e.From.WithZone("") })},
	{"an event keeps all its fields", "takes IPv4 in IPv6 for IPv4", logging(func(e *remint.Event) { e.From = e.From.Unmap() })},
	{"an event keeps all its fields", "makes the zero address another", logging(func(e *remint.Event) {
		if !e.From.IsValid() {
			e.From = netip.IPv6Unspecified()
		}
	})},
	{"an event keeps all its fields", "keeps the age in seconds", logging(func(e *remint.Event) { e.Age = e.Age.Truncate(time.Second) })},
	{"an event keeps all its fields", "keeps times in milliseconds", logging(func(e *remint.Event) { e.At = e.At.Truncate(time.Millisecond) })},
	{"an event keeps all its fields", "makes the zero time 1970", logging(func(e *remint.Event) {
		if e.At.IsZero() {
			e.At = time.Unix(0, 0)
		}
	})},
	{"an event keeps all its fields", "forgets the generation", logging(func(e *remint.Event) { e.Generation = 0 })},
	{"an event keeps all its fields", "forgets the reason", logging(func(e *remint.Event) { e.Reason = "" })},
	{"an event keeps all its fields", "forgets the other", logging(func(e *remint.Event) { e.Other = remint.ID{} })},
	{"an event keeps all its fields", "repairs UTF-8", logging(func(e *remint.Event) { e.Actor = strings.ToValidUTF8(e.Actor, "?") })},
	{"an event keeps all its fields", "keeps revisions as floating-point numbers", logging(func(e *remint.Event) {
		e.Generation = uint64(float64(e.Generation>>1))<<1 | 1
	})},
	{"a batch may hold events only", "loses the events of a batch without records", committing(func(v *variant, b *remint.Batch) {
		if len(b.Put)+len(b.Delete) == 0 {
			b.Log = nil
		}
	})},
	{"the events of a token come in the order of its revisions", "logs a batch backwards", committing(func(v *variant, b *remint.Batch) {
		slices.Reverse(b.Log)
	})},
	{"the events of a token come in the order of its revisions", "reads the newest events first", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			slices.Reverse(page)
			return page, next, err
		}
	})},
	{"the events of a token come in the order of its revisions", "orders by number written as text", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			slices.SortStableFunc(page, func(a, b remint.Event) int {
				return strings.Compare(strconv.FormatUint(a.Revision, 10), strconv.FormatUint(b.Revision, 10))
			})
			return page, next, err
		}
	})},
	{"an empty log gives the beginning", "gives a number for the beginning", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			if len(page) == 0 && after == "" {
				next = "0"
			}
			return page, next, err
		}
	})},
	{"reading on from any cursor finds what was committed later", "gives the cursor at the end of the log", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			if len(page) > 0 {
				next = remint.Cursor(strconv.Itoa(v.trimmed + len(v.log)))
			}
			return page, next, err
		}
	})},
	{"reading on from any cursor finds what was committed later", "gives the cursor before the last event", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			if n, _ := strconv.Atoi(string(next)); len(page) > 1 {
				next = remint.Cursor(strconv.Itoa(n - 1))
			}
			return page, next, err
		}
	})},
	{"reading on from any cursor finds what was committed later", "ignores the limit of events", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, _ int) ([]remint.Event, remint.Cursor, error) {
			return v.reference.Events(ctx, after, 1000)
		}
	})},
	{"an empty page gives the cursor that was passed", "gives no cursor with an empty page", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			if len(page) == 0 {
				next = ""
			}
			return page, next, err
		}
	})},
	{"a trim removes what is before its cursor", "never trims", committing(func(v *variant, b *remint.Batch) { b.Trim = "" })},
	{"a trim removes what is before its cursor", "trims one too many", trimming(func(v *variant, n int) int {
		return min(n+1, v.trimmed+len(v.log))
	})},
	{"a trim removes what is before its cursor", "trims one too few", trimming(func(v *variant, n int) int { return n - 1 })},
	{"a trim removes what is before its cursor", "trims everything", trimming(func(v *variant, n int) int { return v.trimmed + len(v.log) })},
	{"a trim by an old cursor brings nothing back", "counts what it trims from what is left", replacing(func(v *variant, b remint.Batch) error {
		n, err := v.position(b.Trim)
		if err != nil {
			return err
		}
		b.Trim = ""
		v.finish(b)
		n = min(n, len(v.log))
		v.log = v.log[n:]
		v.trimmed += n
		return nil
	})},
	{"a trim by an old cursor brings nothing back", "goes back to the old cursor", but(func(v *variant) {
		var trimmed []remint.Event
		v.commit = func(ctx context.Context, b remint.Batch) error {
			n, err := v.position(b.Trim)
			if b.Trim == "" || err != nil {
				return v.reference.Commit(ctx, b)
			}
			b.Trim = ""
			all := slices.Concat(trimmed, v.log)
			trimmed, v.log, v.trimmed = all[:n:n], slices.Clone(all[n:]), n
			return v.reference.Commit(ctx, b)
		}
	})},
	{"a log that was trimmed to nothing goes on", "counts from 1 again when nothing is left", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			if len(v.log) == 0 {
				v.trimmed = 0
			}
			return err
		}
		lenient(v)
	})},
	{"a batch may trim and log", "trims the events of the same batch", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			if b.Trim != "" && err == nil {
				v.trim(v.trimmed + len(v.log))
			}
			return err
		}
	})},
	{"a batch may trim and log", "loses the events of a batch that trims", committing(func(v *variant, b *remint.Batch) {
		if b.Trim != "" {
			b.Log = nil
		}
	})},
	{"a cursor into what was trimmed goes on with what is left", "gives an error for a trimmed cursor", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			if n, err := v.position(after); err == nil && after != "" && n < v.trimmed {
				return nil, "", errBroken
			}
			return v.reference.Events(ctx, after, limit)
		}
	})},
	{"a cursor into what was trimmed goes on with what is left", "takes a cursor for a position in what is left", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			n, err := v.position(after)
			if err != nil || len(v.log) == 0 {
				return v.reference.Events(ctx, after, limit)
			}
			page := slices.Clone(first(v.log[min(n, len(v.log)):], limit))
			if len(page) == 0 {
				return nil, after, nil
			}
			return page, remint.Cursor(strconv.Itoa(n + len(page))), nil
		}
	})},
	{"a cursor that the store never gave is an error", "takes a bad cursor for the beginning", but(lenient)},
	{"a cursor that the store never gave is an error", "takes a cursor beyond the end for the end", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			if n, err := strconv.Atoi(string(after)); err == nil && n > v.trimmed+len(v.log) {
				return nil, after, nil
			}
			return v.reference.Events(ctx, after, limit)
		}
	})},
	{"a cursor that the store never gave is an error", "reads a cursor up to what is no number", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			var n int
			if read, _ := fmt.Sscanf(string(after), "%d", &n); read == 1 && n > 0 {
				after = remint.Cursor(strconv.Itoa(n))
			}
			return v.reference.Events(ctx, after, limit)
		}
	})},
	{"a cursor that the store never gave is an error", "takes a bad cursor for a missing record", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			if err != nil {
				err = remint.ErrNotFound
			}
			return page, next, err
		}
	})},
	{"a trim by a cursor that the store never gave is an error", "ignores a bad trim", committing(func(v *variant, b *remint.Batch) {
		if _, err := v.position(b.Trim); err != nil {
			b.Trim = ""
		}
	})},
	{"a trim by a cursor that the store never gave is an error", "finds that a trim is bad after it has written", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			trim := b.Trim
			b.Trim = ""
			return cmpErr(v.reference.Commit(ctx, b), func() error {
				return v.reference.Commit(ctx, remint.Batch{Trim: trim})
			})
		}
	})},
	{"a trim by a cursor that the store never gave is an error", "takes a bad trim for a conflict", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			if err != nil && !errors.Is(err, context.Canceled) {
				err = remint.ErrConflict
			}
			return err
		}
	})},
}

// logging makes a variant that changes events.
func logging(change func(e *remint.Event)) func() remint.Store {
	return committing(func(v *variant, b *remint.Batch) {
		for i := range b.Log {
			change(&b.Log[i])
		}
	})
}

// trimming makes a variant that trims elsewhere.
func trimming(where func(v *variant, n int) int) func() remint.Store {
	return replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(b); err != nil {
			return err
		}
		n, err := v.position(b.Trim)
		if err != nil {
			return err
		}
		if b.Trim != "" {
			v.trim(where(v, n))
		}
		b.Trim = ""
		return v.finish(b)
	})
}

// lenient makes a variant take bad cursors for the beginning.
func lenient(v *variant) {
	v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
		if _, err := v.position(after); err != nil {
			page, next, err := v.reference.Events(ctx, "", limit)
			if len(page) == 0 {
				next = after
			}
			return page, next, err
		}
		return v.reference.Events(ctx, after, limit)
	}
}
