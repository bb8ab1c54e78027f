package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"go.etcd.io/bbolt"
)

// A fositeMemory is fosite's store with a lock around its refresh tokens: as of v0.49.0, its
// RevokeRefreshToken writes to a map under the wrong one of its locks, which ends the process when
// another goroutine reads there.
type fositeMemory struct {
	*storage.MemoryStore
	mu sync.RWMutex
}

func (m *fositeMemory) GetRefreshTokenSession(ctx context.Context, signature string, s fosite.Session) (fosite.Requester, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.MemoryStore.GetRefreshTokenSession(ctx, signature, s)
}

func (m *fositeMemory) CreateRefreshTokenSession(ctx context.Context, signature, access string, r fosite.Requester) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.MemoryStore.CreateRefreshTokenSession(ctx, signature, access, r)
}

func (m *fositeMemory) DeleteRefreshTokenSession(ctx context.Context, signature string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.MemoryStore.DeleteRefreshTokenSession(ctx, signature)
}

func (m *fositeMemory) RevokeRefreshToken(ctx context.Context, requestID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.MemoryStore.RevokeRefreshToken(ctx, requestID)
}

func (m *fositeMemory) RotateRefreshToken(ctx context.Context, requestID, signature string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.MemoryStore.RotateRefreshToken(ctx, requestID, signature)
}

// fositeRefresh exchanges refresh tokens, each of which gives a new one and an access token.
func fositeRefresh(r *run, n, writers int) (subject, error) {
	config, unlocked, strategy := newFosite()
	memory := &fositeMemory{MemoryStore: unlocked}
	provider := compose.Compose(config, memory, strategy, compose.OAuth2RefreshTokenGrantFactory)
	memory.Clients[fositeClient.ID] = fositeClient
	held := make([]string, n)
	for i := range held {
		request := newFositeRequest(i)
		text, signature, err := strategy.GenerateRefreshToken(r.ctx, request)
		if err != nil {
			return subject{}, err
		}
		if err := memory.CreateRefreshTokenSession(r.ctx, signature, "", request); err != nil {
			return subject{}, err
		}
		held[i] = text
	}
	refresh := func(text string) (string, error) {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {text}, "client_id": {fositeClient.ID}}
		post, err := http.NewRequestWithContext(r.ctx, "POST", "/token", strings.NewReader(form.Encode()))
		if err != nil {
			return "", err
		}
		post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request, err := provider.NewAccessRequest(r.ctx, post, new(fosite.DefaultSession))
		if err != nil {
			return "", err
		}
		answer, err := provider.NewAccessResponse(r.ctx, request)
		if err != nil {
			return "", err
		}
		fresh, _ := answer.GetExtra("refresh_token").(string)
		return fresh, nil
	}
	// The last is nobody's, and shows that a rotation is one. A reuse ends all that came of it.
	last := held[n-1]
	fresh, err := refresh(last)
	if err == nil {
		fresh, err = refresh(fresh)
	}
	if err != nil {
		return subject{}, err
	}
	if _, err := refresh(last); fresh == "" || err == nil {
		return subject{}, errors.New("fosite: a refresh token that was used is accepted")
	}
	held = held[:n-1]
	at := make([]int, writers)
	return subject{name: "fosite, refresh flow in memory", least: writers, run: func(n int) error {
		return parallel(writers, n, func(worker, _ int) (err error) {
			i := next(at, worker, writers, len(held))
			held[i], err = refresh(held[i])
			return err
		})
	}}, nil
}

// scsRenewals gives sessions new tokens, in memory and in a file.
func scsRenewals(r *run, n, writers int) ([]subject, func() error, error) {
	db, err := bbolt.Open(r.file(fmt.Sprintf("scs-%d.db", writers)), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: 1 << 32})
	if err != nil {
		return nil, nil, err
	}
	var subjects []subject
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(sessionBucket)
		return err
	})
	for _, s := range []struct {
		name  string
		store scs.Store
		n     int
	}{
		{"scs, RenewToken in memory", memstore.NewWithCleanupInterval(0), n},
		{"scs, RenewToken on bbolt", sessionsInBolt{db}, 2 * writers}, // each is a transaction
	} {
		if err == nil {
			var renewals subject
			renewals, err = scsRenewal(r.ctx, s.name, newSCS(s.store), s.n, writers)
			subjects = append(subjects, renewals)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return subjects, db.Close, nil
}

func scsRenewal(ctx context.Context, name string, m *scs.SessionManager, n, writers int) (subject, error) {
	held := make([]string, n)
	for i := range held {
		var err error
		if held[i], err = beginSession(ctx, m, ownerOf(i)); err != nil {
			return subject{}, err
		}
	}
	owner := func(text string) string {
		ctx, err := m.Load(ctx, text)
		if err != nil {
			return ""
		}
		return m.GetString(ctx, "owner")
	}
	renew := func(text string) (string, error) {
		ctx, err := m.Load(ctx, text)
		if err == nil {
			err = m.RenewToken(ctx)
		}
		if err != nil {
			return "", err
		}
		fresh, _, err := m.Commit(ctx)
		return fresh, err
	}
	was := held[0]
	var err error
	if held[0], err = renew(was); err != nil {
		return subject{}, err
	}
	if owner(was) != "" || owner(held[0]) != ownerOf(0) {
		return subject{}, fmt.Errorf("%s: it does not renew", name)
	}
	at := make([]int, writers)
	return subject{name: name, least: writers, run: func(n int) error {
		return parallel(writers, n, func(worker, _ int) (err error) {
			i := next(at, worker, writers, len(held))
			held[i], err = renew(held[i])
			return err
		})
	}}, nil
}
