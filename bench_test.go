package remint_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// Quick figures while one works on something. What they are worth, beside yardsticks and peers,
// module bench tells: docs/performance.md.

// population is n tokens, the first of which has n sessions if sessions is set, in random order.
type population struct {
	issuer *remint.Issuer
	texts  []string
}

func populate(b *testing.B, n int, sessions bool) *population {
	b.Helper()
	issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"pk_"}})
	if err != nil {
		b.Fatal(err)
	}
	p := &population{issuer: issuer, texts: make([]string, n)}
	op := issuer.Operator("bench")
	caps := remint.Allow("*")
	expires := time.Now().Add(24 * time.Hour)
	order := rand.Perm(n)
	var master remint.Grant
	for i := range n {
		if i == 0 || !sessions {
			g, err := op.Issue(b.Context(), remint.Spec{Name: "token " + strconv.Itoa(i), Owner: "owner", Capabilities: caps, ExpiresAt: expires})
			if err != nil {
				b.Fatal(err)
			}
			master = g
		}
		g := master
		if sessions {
			if g, err = op.StartSession(b.Context(), master.Token.ID(), remint.Session{}); err != nil {
				b.Fatal(err)
			}
		}
		p.texts[order[i]] = g.Secret.Reveal()
	}
	return p
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range []string{"token", "session"} {
		for _, n := range []int{1_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/n=%d", kind, n), func(b *testing.B) {
				p := populate(b, n, kind == "session")
				addr := netip.MustParseAddr("192.0.2.7")
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, err := p.issuer.Verify(b.Context(), p.texts[i], addr); err != nil {
						b.Fatal(err)
					}
					if i++; i == len(p.texts) {
						i = 0
					}
				}
			})
		}
	}
}

// BenchmarkRefuseGarbage refuses a token with one wrong character.
func BenchmarkRefuseGarbage(b *testing.B) {
	p := populate(b, 1, false)
	text := []byte(p.texts[0])
	text[40] ^= 1
	garbage := string(text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.issuer.Verify(b.Context(), garbage, netip.Addr{}); err == nil {
			b.Fatal("accepted")
		}
	}
}

// BenchmarkVerifyParallel verifies on one and on two cores (-cpu 1,2).
func BenchmarkVerifyParallel(b *testing.B) {
	p := populate(b, 1_000, false)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := rand.IntN(len(p.texts))
		for pb.Next() {
			if _, err := p.issuer.Verify(b.Context(), p.texts[i], netip.Addr{}); err != nil {
				b.Fatal(err)
			}
			if i++; i == len(p.texts) {
				i = 0
			}
		}
	})
}

// BenchmarkEndSessions ends the sessions of a token that has that many.
func BenchmarkEndSessions(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			p := populate(b, n, true)
			for tok, err := range p.issuer.Operator("").List(b.Context(), remint.Query{Owner: "owner"}) {
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if err := p.issuer.Operator("").EndSessions(b.Context(), tok.ID()); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkRotate replaces secrets of 1,000 tokens, with as many goroutines.
func BenchmarkRotate(b *testing.B) {
	stores := map[string]func(b *testing.B) remint.Store{
		"memory": func(*testing.B) remint.Store { return new(store.Memory) },
		"bolt": func(b *testing.B) remint.Store {
			s, err := storebolt.Open(filepath.Join(b.TempDir(), "bench.db"), nil)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			return s
		},
	}
	for _, kind := range []string{"memory", "bolt"} {
		for _, goroutines := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", kind, goroutines), func(b *testing.B) {
				issuer, err := remint.New(stores[kind](b), nil)
				if err != nil {
					b.Fatal(err)
				}
				op := issuer.Operator("bench")
				var ids [1000]remint.ID
				for i := range ids {
					g, err := op.Issue(b.Context(), remint.Spec{Name: "token", Owner: "owner", Capabilities: remint.Allow("*")})
					if err != nil {
						b.Fatal(err)
					}
					ids[i] = g.Token.ID()
				}
				b.ReportAllocs()
				b.ResetTimer()
				var next atomic.Int64
				var wg sync.WaitGroup
				for w := range goroutines {
					wg.Go(func() {
						// Each has tokens of its own: this is no race.
						for i := w; next.Add(1) <= int64(b.N); i = (i + goroutines) % (len(ids) / goroutines * goroutines) {
							if _, err := op.Rotate(b.Context(), ids[i], remint.Rotation{}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkRotateWithRetryKey is a bearer that rotates its own secret again and again, and the
// replay of the last answer. What a key costs is the difference.
func BenchmarkRotateWithRetryKey(b *testing.B) {
	for _, name := range []string{"without", "with", "replay"} {
		b.Run(name, func(b *testing.B) {
			issuer, err := remint.New(new(store.Memory), nil)
			if err != nil {
				b.Fatal(err)
			}
			g, err := issuer.Operator("bench").Issue(b.Context(), remint.Spec{Name: "token", Owner: "owner", Capabilities: remint.Allow("*")})
			if err != nil {
				b.Fatal(err)
			}
			id, secret := g.Token.ID(), g.Secret.Reveal()
			b.ReportAllocs()
			for b.Loop() {
				me := issuer.Bearer(secret, netip.Addr{})
				if name != "without" {
					me = me.WithRetryKey("8f2c1d7e-0b6a-4c7e-9d3f-2a1b0c9d8e7f", 0)
				}
				g, err := me.Rotate(b.Context(), id, remint.Rotation{})
				if err != nil {
					b.Fatal(err)
				}
				if name != "replay" {
					secret = g.Secret.Reveal()
				}
			}
		})
	}
}
