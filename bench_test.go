package remint_test

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// The yardstick is what a hand-written token check without any feature does: checksum,
// ULID, a sharded map behind read locks, SHA-256, constant-time compare, expiry.

type yardstick struct {
	shards [64]struct {
		sync.RWMutex
		m map[ulid.ULID]*yardToken
		_ [32]byte
	}
	seed  maphash.Seed
	table *crc32.Table
}

type yardToken struct {
	digest  [32]byte
	expires int64
	parent  ulid.ULID
}

func newYardstick() *yardstick {
	y := &yardstick{seed: maphash.MakeSeed(), table: crc32.MakeTable(crc32.Castagnoli)}
	for i := range y.shards {
		y.shards[i].m = map[ulid.ULID]*yardToken{}
	}
	return y
}

func (y *yardstick) load(id ulid.ULID) *yardToken {
	s := &y.shards[maphash.Comparable(y.seed, id)&63]
	s.RLock()
	defer s.RUnlock()
	return s.m[id]
}

func (y *yardstick) add(text string, prefix int, parent ulid.ULID) ulid.ULID {
	id := ulid.MustParseStrict(text[prefix : prefix+26])
	s := &y.shards[maphash.Comparable(y.seed, id)&63]
	s.m[id] = &yardToken{sha256.Sum256([]byte(text[prefix+26 : len(text)-6])), time.Now().Add(24 * time.Hour).UnixMicro(), parent}
	return id
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func (y *yardstick) verify(text string, prefix int, buf []byte) bool {
	if len(text) != prefix+75 {
		return false
	}
	buf = append(buf[:0], text...)
	sum := crc32.Checksum(buf[:len(buf)-6], y.table)
	for i := len(buf) - 1; i >= len(buf)-6; i-- {
		if buf[i] != base62[sum%62] {
			return false
		}
		sum /= 62
	}
	var id ulid.ULID
	if id.UnmarshalText(buf[prefix:prefix+26]) != nil {
		return false
	}
	now := time.Now().UnixMicro()
	t := y.load(id)
	if t == nil {
		return false
	}
	d := sha256.Sum256(buf[prefix+26 : len(buf)-6])
	if subtle.ConstantTimeCompare(d[:], t.digest[:]) != 1 || now >= t.expires {
		return false
	}
	if t.parent != (ulid.ULID{}) {
		p := y.load(t.parent)
		return p != nil && now < p.expires
	}
	return true
}

// population is n tokens, the first of which has n sessions if sessions is set, in random order.
type population struct {
	issuer *remint.Issuer
	yard   *yardstick
	texts  []string
	prefix int
}

func populate(b *testing.B, n int, sessions bool) *population {
	b.Helper()
	issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"pk_"}})
	if err != nil {
		b.Fatal(err)
	}
	p := &population{issuer: issuer, yard: newYardstick(), prefix: 3}
	op := issuer.Operator("bench")
	caps := remint.Allow("*")
	expires := time.Now().Add(24 * time.Hour)
	p.texts = make([]string, n)
	order := rand.Perm(n)
	var master remint.Grant
	var root ulid.ULID
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
			if i == 0 {
				root = p.yard.add(master.Secret.Reveal(), 3, ulid.ULID{})
				p.prefix = 4 // "rms_"
			}
		}
		p.texts[order[i]] = g.Secret.Reveal()
		p.yard.add(g.Secret.Reveal(), p.prefix, root)
	}
	return p
}

// BenchmarkVerify beside its yardstick: compare the two lines of a size.
func BenchmarkVerify(b *testing.B) {
	for _, kind := range []string{"token", "session"} {
		for _, n := range []int{1_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/n=%d", kind, n), func(b *testing.B) {
				p := populate(b, n, kind == "session")
				addr := netip.MustParseAddr("192.0.2.7")
				b.Run("remint", func(b *testing.B) {
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
				b.Run("yardstick", func(b *testing.B) {
					b.ReportAllocs()
					buf := make([]byte, 0, 128)
					i := 0
					for b.Loop() {
						if !p.yard.verify(p.texts[i], p.prefix, buf) {
							b.Fatal("denied")
						}
						if i++; i == len(p.texts) {
							i = 0
						}
					}
				})
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
