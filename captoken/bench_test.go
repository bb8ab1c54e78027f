package captoken_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/remint-go/remint"
)

func BenchmarkSign(b *testing.B) {
	bed := newBed(b)
	root := bed.issue(remint.Spec{Networks: prefixes("10.0.0.0/8")})
	child := bed.issue(remint.Spec{Parent: root.Token.ID()})
	for what, id := range map[string]remint.ID{"alone": root.Token.ID(), "child": child.Token.ID()} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bed.signer.Sign(b.Context(), id, request()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("yardstick: crypto/ed25519", func(b *testing.B) {
		key, message := keyOf("k1"), make([]byte, 400)
		b.ReportAllocs()
		for b.Loop() {
			ed25519.Sign(key, message)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	bed := newBed(b)
	g := bed.issue(remint.Spec{Networks: prefixes("10.0.0.0/8")})
	text := bed.sign(g.Token.ID(), request())
	b.Run("offline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bed.verifier.Verify(text, inside); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("live", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bed.verifier.VerifyLive(b.Context(), bed.op, text, inside); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("extra", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bed.verifier.Extra(b.Context(), text, g.Token, inside); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("garbage", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bed.verifier.Verify(text[1:], inside); err == nil {
				b.Fatal("accepted")
			}
		}
	})
	b.Run("yardstick: crypto/ed25519", func(b *testing.B) {
		message := make([]byte, 400)
		public, sig := publicOf("k1"), ed25519.Sign(keyOf("k1"), message)
		b.ReportAllocs()
		for b.Loop() {
			if !ed25519.Verify(public, message, sig) {
				b.Fatal("refused")
			}
		}
	})
}
