package main

import (
	"errors"
	"fmt"

	"github.com/remint-go/remint"
)

// endSessionsPart ends all sessions of a token, by their number.
func endSessionsPart(r *run) error {
	var sizes []int
	for _, n := range append([]int{1}, r.scale...) {
		if n <= 1e6 {
			sizes = append(sizes, n)
		}
	}
	for _, kind := range []string{"memory", "bbolt"} {
		tab := &table{
			name: "end-sessions/" + kind, title: "End all sessions of a token, in " + kind,
			against: []string{sessionsName(1)},
			notes:   []string{"It is one write. The first one ends them; the further ones find as many records, and write as much."},
		}
		var closers []func() error
		closeAll := func() (err error) {
			for _, c := range closers {
				err = errors.Join(err, c())
			}
			return err
		}
		for _, n := range sizes {
			t, err := issueSessions(r, n)
			if err != nil {
				return errors.Join(err, closeAll())
			}
			issuer := t.issuer
			if kind == "bbolt" {
				db, closeFile, err := r.bolt(fmt.Sprintf("end-%d.db", n))
				if err != nil {
					return errors.Join(err, closeAll())
				}
				closers = append(closers, closeFile)
				if err := copyRecords(r.ctx, db, t.store); err != nil {
					return errors.Join(err, closeAll())
				}
				if issuer, err = newIssuer(db, remint.Options{}); err != nil {
					return errors.Join(err, closeAll())
				}
			}
			if err := proveEnd(r, t, issuer); err != nil {
				return errors.Join(err, closeAll())
			}
			id := t.ids[0]
			tab.subjects = append(tab.subjects, subject{name: sessionsName(n), run: func(n int) error {
				for range n {
					if err := issuer.Operator("bench").EndSessions(r.ctx, id); err != nil {
						return err
					}
				}
				return nil
			}})
		}
		if err := errors.Join(r.measure(tab), closeAll()); err != nil {
			return err
		}
	}
	return nil
}

func sessionsName(n int) string { return plural(n, "session") }

// proveEnd ends the sessions once: the first and the last are accepted before, and not after.
func proveEnd(r *run, t *tokens, issuer *remint.Issuer) error {
	verify := check(r.ctx, issuer)
	some := []string{t.texts[0], t.texts[len(t.texts)-1]}
	for _, text := range some {
		if _, err := verify(text); err != nil {
			return err
		}
	}
	if err := issuer.Operator("bench").EndSessions(r.ctx, t.ids[0]); err != nil {
		return err
	}
	for _, text := range some {
		if _, err := verify(text); err == nil {
			return errors.New("a session that was ended is accepted")
		}
	}
	return nil
}
