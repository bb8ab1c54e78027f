package chaos

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// A Census counts secrets, and changes nothing.
type Census struct {
	Options *remint.Options // those of the service
	From    netip.Addr      // where secrets are presented
}

// Live returns how many secrets of the tokens in s are live, by what the tokens say of
// themselves. Sessions, and the tokens in aside, do not count.
func (c Census) Live(ctx context.Context, s remint.Store, aside ...remint.ID) (n int, err error) {
	issuer, err := remint.New(s, c.Options)
	if err != nil {
		return 0, err
	}
	skip := map[remint.ID]bool{}
	for _, id := range aside {
		skip[id] = true
	}
	records, err := all(ctx, s)
	if err != nil {
		return 0, err
	}
	for _, r := range records {
		tok, err := issuer.Operator("census").Get(ctx, r.ID())
		if err != nil {
			return 0, err
		}
		state := tok.State()
		if skip[tok.ID()] || tok.IsSession() || state.Ended != "" {
			continue
		}
		// A secret may be two of these at a time, and the time when it was made tells it from others.
		secrets := map[time.Time]bool{}
		for _, x := range []remint.SecretState{state.Current, state.Unconfirmed, state.Retiring} {
			if !x.CreatedAt.IsZero() {
				secrets[x.CreatedAt] = true
			}
		}
		n += len(secrets)
	}
	return n, nil
}

// Works reports whether secret is accepted. It asks a copy of s: a first use would
// change what there is to count.
func (c Census) Works(ctx context.Context, s remint.Store, secret string) (bool, error) {
	var copied store.Memory
	records, err := all(ctx, s)
	if err != nil {
		return false, err
	}
	var b remint.Batch
	for _, r := range records {
		b.Put = append(b.Put, remint.Put{Record: r})
	}
	if err := copied.Commit(ctx, b); err != nil {
		return false, err
	}
	issuer, err := remint.New(&copied, c.Options)
	if err != nil {
		return false, err
	}
	if _, err = issuer.Verify(ctx, secret, c.From); errors.Is(err, remint.ErrDenied) {
		return false, nil
	}
	return err == nil, err
}

func all(ctx context.Context, s remint.Store) (list []*remint.Record, err error) {
	const page = 64
	for after := (remint.ID{}); ; after = list[len(list)-1].ID() {
		more, err := s.Scan(ctx, after, page)
		if list = append(list, more...); err != nil || len(more) < page {
			return list, err
		}
	}
}

// A Clock goes on by a millisecond whenever it is looked at, so that no two things happen
// at the same time.
type Clock struct{ gone atomic.Int64 }

// Now is for [remint.Options.Now].
func (c *Clock) Now() time.Time {
	return time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.gone.Add(int64(time.Millisecond))))
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) { c.gone.Add(int64(d)) }
