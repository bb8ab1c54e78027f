package storetest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

var brokenReads = []broken{
	{"records come in the order of their IDs", "orders by insertion", but(func(v *variant) {
		var order []remint.ID
		v.commit = func(ctx context.Context, b remint.Batch) error {
			for _, p := range b.Put {
				order = append(order, p.Record.ID())
			}
			return v.reference.Commit(ctx, b)
		}
		paging(v, func(all []*remint.Record, after remint.ID, limit int) []*remint.Record {
			slices.SortFunc(all, func(a, b *remint.Record) int {
				return slices.Index(order, a.ID()) - slices.Index(order, b.ID())
			})
			return first(all[1+slices.IndexFunc(all, func(r *remint.Record) bool { return r.ID() == after }):], limit)
		})
	})},
	{"records come in the order of their IDs", "orders by signed bytes", but(func(v *variant) {
		signed := func(a, b remint.ID) int {
			return slices.CompareFunc(a[:], b[:], func(a, b byte) int { return cmp.Compare(int8(a), int8(b)) })
		}
		paging(v, func(all []*remint.Record, after remint.ID, limit int) []*remint.Record {
			slices.SortFunc(all, func(a, b *remint.Record) int { return signed(a.ID(), b.ID()) })
			if !after.IsZero() {
				all = slices.DeleteFunc(all, func(r *remint.Record) bool { return signed(r.ID(), after) <= 0 })
			}
			return first(all, limit)
		})
	})},
	{"pages follow one another", "begins a page with the record after which it is", but(func(v *variant) {
		paging(v, func(all []*remint.Record, after remint.ID, limit int) []*remint.Record {
			return first(slices.DeleteFunc(all, func(r *remint.Record) bool { return r.ID().Compare(after) < 0 }), limit)
		})
	})},
	{"pages follow one another", "ignores the limit", but(func(v *variant) {
		paging(v, func(all []*remint.Record, after remint.ID, _ int) []*remint.Record {
			return slices.DeleteFunc(all, func(r *remint.Record) bool { return r.ID().Compare(after) <= 0 })
		})
	})},
	{"pages follow one another", "counts what it filters away against the limit", but(func(v *variant) {
		v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Scan(ctx, after, limit)
			return slices.DeleteFunc(page, func(r *remint.Record) bool { return r.Owner() != owner || r.Parent() != parent }), err
		}
	})},
	{"a page begins after an ID that need not be there", "looks for the record after which a page begins", but(func(v *variant) {
		paging(v, func(all []*remint.Record, after remint.ID, limit int) []*remint.Record {
			return first(all[1+slices.IndexFunc(all, func(r *remint.Record) bool { return r.ID() == after }):], limit)
		})
	})},
	{"a limit that is not positive selects nothing", "takes limit 0 for no limit", but(func(v *variant) {
		v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
			return v.reference.Scan(ctx, after, cmp.Or(limit, 1000))
		}
	})},
	{"a limit that is not positive selects nothing", "takes a negative limit for no limit", but(func(v *variant) {
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			return v.reference.Due(ctx, before, int(uint32(limit)))
		}
	})},
	{"a limit that is not positive selects nothing", "panics for a negative limit", but(func(v *variant) {
		v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
			page, err := v.reference.List(ctx, owner, parent, after, 1000)
			return page[:min(len(page), limit)], err
		}
	})},
	{"a limit that is not positive selects nothing", "gives another cursor for no events", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, 1)
			return first(page, limit), next, err
		}
	})},
	{"a limit may be far beyond what there is", "makes room for as many as the limit", but(func(v *variant) {
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Due(ctx, before, limit)
			return append(make([]*remint.Record, 0, limit), page...), err
		}
	})},
	{"a limit may be far beyond what there is", "reads one more than the limit", but(func(v *variant) {
		v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Scan(ctx, after, limit+1)
			return first(page, limit), err
		}
	})},
	{"the parentless records of an owner are listed apart from its children", "lists all records of an owner as parentless", but(listing(
		func(r *remint.Record, owner string, parent remint.ID) bool {
			return r.Owner() == owner && (parent.IsZero() || r.Parent() == parent)
		}))},
	{"children of one parent are listed by owner", "lists children of any owner", but(listing(
		func(r *remint.Record, owner string, parent remint.ID) bool {
			return r.Parent() == parent && (r.Owner() == owner || !parent.IsZero())
		}))},
	{"a list of nobody's records is empty", "lists all owners for one that is not known", but(func(v *variant) {
		v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
			if owner == "nobody" {
				return v.reference.Scan(ctx, after, limit)
			}
			return v.reference.List(ctx, owner, parent, after, limit)
		}
	})},
	{"an owner is any bytes but NUL", "lists owners by prefix", but(listing(
		func(r *remint.Record, owner string, parent remint.ID) bool {
			return strings.HasPrefix(r.Owner(), owner) && r.Parent() == parent
		}))},
	{"an owner is any bytes but NUL", "lists owners by pattern", but(listing(
		func(r *remint.Record, owner string, parent remint.ID) bool {
			return (r.Owner() == owner || owner == "%" || owner == "*") && r.Parent() == parent
		}))},
	{"an owner whose name goes on with a parent's bytes is another owner", "joins owner and parent to one key", but(listing(
		func(r *remint.Record, owner string, parent remint.ID) bool {
			key := func(owner string, parent remint.ID) string {
				if parent.IsZero() {
					return owner
				}
				return owner + string(parent[:])
			}
			return key(r.Owner(), r.Parent()) == key(owner, parent)
		}))},

	{"a record without a time to sweep is never due", "takes the zero time for a long time ago", but(dueIf(
		func(r *remint.Record, before time.Time) bool { return r.SweepAt().Before(before) }))},
	{"a record is due after its time and not at it", "takes a record for due at its time", but(dueIf(
		func(r *remint.Record, before time.Time) bool {
			return !r.SweepAt().IsZero() && !r.SweepAt().After(before)
		}))},
	{"microseconds count", "counts in milliseconds", but(dueIf(
		func(r *remint.Record, before time.Time) bool {
			return !r.SweepAt().IsZero() && r.SweepAt().UnixMilli() < before.UnixMilli()
		}))},
	{"the edges of time are times", "counts in nanoseconds", but(dueIf(
		func(r *remint.Record, before time.Time) bool {
			return !r.SweepAt().IsZero() && r.SweepAt().UnixNano() < before.UnixNano()
		}))},
	{"the edges of time are times", "counts without a sign", but(dueIf(
		func(r *remint.Record, before time.Time) bool {
			return !r.SweepAt().IsZero() && uint64(r.SweepAt().UnixMicro()) < uint64(before.UnixMicro())
		}))},
	{"the edges of time are times", "takes what was before 1970 for never", but(dueIf(
		func(r *remint.Record, before time.Time) bool {
			return r.SweepAt().UnixMicro() > 0 && r.SweepAt().Before(before)
		}))},
	{"a time is the same in any zone", "compares what a clock in the zone shows", but(func(v *variant) {
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			_, offset := before.Zone()
			return v.reference.Due(ctx, before.Add(time.Duration(offset)*time.Second), limit)
		}
	})},
	{"records that are due at one time come in the order of their IDs", "orders what is due by time only", but(dueBy(
		func(a, b *remint.Record) int { return cmp.Or(a.SweepAt().Compare(b.SweepAt()), -byID(a, b)) }))},
	{"records that are due at one time come in the order of their IDs", "orders what is due by ID only", but(dueBy(byID))},
	{"what was due and is deleted makes room", "gives the first that are due, of those that ever were", but(func(v *variant) {
		given := map[remint.ID]bool{}
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Due(ctx, before, limit+len(given))
			if limit == 2 {
				for _, r := range page {
					given[r.ID()] = true
				}
				page = first(page, limit-len(given)/2)
			}
			return page, err
		}
	})},
}

// paging gives a variant another way to choose a page of all records, in order, that
// List or Scan select.
func paging(v *variant, page func(all []*remint.Record, after remint.ID, limit int) []*remint.Record) {
	v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
		all, err := v.reference.List(ctx, owner, parent, remint.ID{}, 1000)
		return page(all, after, limit), err
	}
	v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
		all, err := v.reference.Scan(ctx, remint.ID{}, 1000)
		return page(all, after, limit), err
	}
}

// listing gives a variant another List.
func listing(want func(r *remint.Record, owner string, parent remint.ID) bool) func(v *variant) {
	return func(v *variant) {
		v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
			return v.page(ctx, after, limit, func(r *remint.Record) bool { return want(r, owner, parent) })
		}
	}
}

// ownedAs makes a variant that lists as one what is the same after a change of owners.
func ownedAs(as func(owner string) string) func() remint.Store {
	return but(listing(func(r *remint.Record, owner string, parent remint.ID) bool {
		return as(r.Owner()) == as(owner) && r.Parent() == parent
	}))
}

func first254(owner string) string { return owner[:min(len(owner), 254)] }

func foldASCII(owner string) string { return string(bytes.ToLower([]byte(owner))) }

// dueIf gives a variant another idea of what is due.
func dueIf(due func(r *remint.Record, before time.Time) bool) func(v *variant) {
	return func(v *variant) {
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			page, err := v.page(ctx, remint.ID{}, 1000, func(r *remint.Record) bool { return due(r, before) })
			slices.SortFunc(page, bySweepAt)
			return first(page, limit), err
		}
	}
}

// dueBy gives a variant another order of what is due.
func dueBy(compare func(a, b *remint.Record) int) func(v *variant) {
	return func(v *variant) {
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Due(ctx, before, 1000)
			slices.SortFunc(page, compare)
			return first(page, limit), err
		}
	}
}

func sortKeys(keys []sweepKey) {
	slices.SortFunc(keys, func(a, b sweepKey) int { return cmp.Or(cmp.Compare(a.at, b.at), a.id.Compare(b.id)) })
}
