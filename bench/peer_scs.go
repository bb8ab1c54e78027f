package main

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"go.etcd.io/bbolt"
)

func newSCS(s scs.Store) *scs.SessionManager {
	m := scs.New()
	m.Store = s
	return m
}

// beginSession stores a session, and returns its token.
func beginSession(ctx context.Context, m *scs.SessionManager, owner string) (string, error) {
	ctx, err := m.Load(ctx, "")
	if err != nil {
		return "", err
	}
	m.Put(ctx, "owner", owner)
	text, _, err := m.Commit(ctx)
	return text, err
}

func scsSessions(r *run, n int) (*peer, error) {
	m := newSCS(memstore.NewWithCleanupInterval(0))
	p := &peer{name: "scs, session in memory", owner: ownerOf}
	for i := range n {
		text, err := beginSession(r.ctx, m, ownerOf(i))
		if err != nil {
			return nil, err
		}
		p.texts = append(p.texts, text)
	}
	p.check = func(text string) (string, error) {
		ctx, err := m.Load(r.ctx, text)
		if err != nil {
			return "", err
		}
		if owner := m.GetString(ctx, "owner"); owner != "" {
			return owner, nil
		}
		return "", errRefused // it is a new session
	}
	p.revoke = func(text string) error {
		ctx, err := m.Load(r.ctx, text)
		if err != nil {
			return err
		}
		return m.Destroy(ctx)
	}
	return p, nil
}

// sessionsInBolt keeps the sessions of scs in a file, with a transaction for each commit.
type sessionsInBolt struct{ db *bbolt.DB }

var sessionBucket = []byte("sessions")

func (s sessionsInBolt) Find(token string) (data []byte, found bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		value := tx.Bucket(sessionBucket).Get([]byte(token))
		var end time.Time
		if len(value) < 15 || end.UnmarshalBinary(value[:15]) != nil || !time.Now().Before(end) {
			return nil
		}
		data, found = append([]byte(nil), value[15:]...), true
		return nil
	})
	return data, found, err
}

func (s sessionsInBolt) Commit(token string, data []byte, expiry time.Time) error {
	value, err := expiry.UTC().MarshalBinary() // 15 bytes
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(sessionBucket).Put([]byte(token), append(value, data...))
	})
}

func (s sessionsInBolt) Delete(token string) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(sessionBucket).Delete([]byte(token)) })
}
