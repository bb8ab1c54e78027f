package main

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/remint-go/remint/httpadapter"
)

// whoami shows who is calling. It stands for the handlers that a service has already.
func whoami(w http.ResponseWriter, r *http.Request) {
	tok, _ := httpadapter.TokenFromContext(r.Context())
	spec := tok.Spec()
	answer := struct {
		ID           string     `json:"id"`
		Name         string     `json:"name"`
		Owner        string     `json:"owner"`
		Capabilities []string   `json:"capabilities"`
		ExpiresAt    *time.Time `json:"expires_at"`
	}{ID: tok.ID().String(), Name: spec.Name, Owner: spec.Owner, Capabilities: []string{}}
	for c := range spec.Capabilities.All() {
		answer.Capabilities = append(answer.Capabilities, string(c))
	}
	if at := tok.ExpiresAt(); !at.IsZero() {
		answer.ExpiresAt = &at
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(answer)
}
