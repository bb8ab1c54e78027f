package main

import (
	"fmt"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
)

// newFosite has opaque tokens, in fosite's own memory store.
func newFosite() (*fosite.Config, *storage.MemoryStore, *oauth2.HMACSHAStrategy) {
	config := &fosite.Config{GlobalSecret: random(32), AccessTokenLifespan: day, RefreshTokenLifespan: day}
	return config, storage.NewMemoryStore(), compose.NewOAuth2HMACStrategy(config)
}

// newFositeRequest is what is stored of a token.
func newFositeRequest(i int) *fosite.Request {
	r := fosite.NewRequest()
	r.ID = fmt.Sprint("request-", i)
	r.Client = fositeClient
	session := &fosite.DefaultSession{Subject: ownerOf(i), Username: ownerOf(i)}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(day))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(day))
	r.Session = session
	r.RequestedScope, r.GrantedScope = fosite.Arguments{"offline", "reports"}, fosite.Arguments{"offline", "reports"}
	return r
}

// fositeClient has no secret: to compare one with bcrypt would be all that is measured.
var fositeClient = &fosite.DefaultClient{
	ID: "bench", Public: true, GrantTypes: fosite.Arguments{"refresh_token"}, Scopes: fosite.Arguments{"offline", "reports"},
}

// fositeIntrospection looks a token up, as a resource server has to that wants to see a revocation.
func fositeIntrospection(r *run, n int) (*peer, error) {
	config, memory, strategy := newFosite()
	provider := compose.Compose(config, memory, strategy, compose.OAuth2TokenIntrospectionFactory)
	p := &peer{name: "fosite, introspection", owner: ownerOf}
	requests := map[string]string{}
	for i := range n {
		request := newFositeRequest(i)
		text, signature, err := strategy.GenerateAccessToken(r.ctx, request)
		if err != nil {
			return nil, err
		}
		if err := memory.CreateAccessTokenSession(r.ctx, signature, request); err != nil {
			return nil, err
		}
		p.texts = append(p.texts, text)
		requests[text] = request.ID
	}
	p.check = func(text string) (string, error) {
		_, request, err := provider.IntrospectToken(r.ctx, text, fosite.AccessToken, new(fosite.DefaultSession))
		if err != nil {
			return "", err
		}
		return request.GetSession().GetSubject(), nil
	}
	p.revoke = func(text string) error { return memory.RevokeAccessToken(r.ctx, requests[text]) }
	return p, nil
}

// fositeHMAC checks a token's signature, and nothing that is stored.
func fositeHMAC(r *run, n int) (*peer, error) {
	_, _, strategy := newFosite()
	p := &peer{name: "fosite, HMAC only", owner: ownerOf, anonymous: true}
	request := newFositeRequest(0)
	for range n {
		text, _, err := strategy.GenerateAccessToken(r.ctx, request)
		if err != nil {
			return nil, err
		}
		p.texts = append(p.texts, text)
	}
	p.check = func(text string) (string, error) { return "", strategy.ValidateAccessToken(r.ctx, request, text) }
	return p, nil
}
