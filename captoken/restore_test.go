package captoken_test

import (
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// Epochs that a lost history has handed out are not handed out again: else what was ended in it
// would be accepted as soon as the restored token's epoch has come as far.
func TestACapabilitiesTokenOfBeforeARestoreIsRefusedLive(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	id := b.issue(remint.Spec{}).Token.ID()
	var old []string
	old = append(old, b.sign(id, request()))
	backup := copyOf(b, b.store)
	for range 3 {
		if err := b.op.EndSessions(ctx, id); err != nil {
			t.Fatal(err)
		}
		old = append(old, b.sign(id, request()))
	}

	b.now = b.now.Add(time.Second)
	b.store = backup
	issuer, err := remint.New(backup, &remint.Options{Now: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	b.issuer, b.op = issuer, issuer.Operator("restored")
	if _, err := b.op.AfterRestore(ctx, remint.Restore{At: b.now, StopSecrets: true}); err != nil {
		t.Fatal(err)
	}
	b.signer = b.newSigner(signingKey(t, "k1", "k1"))
	for range 4 {
		if _, err := b.verifier.VerifyLive(ctx, b.op, b.sign(id, request()), nowhere); err != nil {
			t.Errorf("a new one: %v", err)
		}
		for _, text := range old {
			_, err := b.verifier.VerifyLive(ctx, b.op, text, nowhere)
			b.refused(err, "was ended")
		}
		if err := b.op.EndSessions(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
}

// copyOf returns a store with the same records, as a backup has them.
func copyOf(b *bed, from remint.Store) *store.Memory {
	b.Helper()
	to := new(store.Memory)
	all, err := from.Scan(b.Context(), remint.ID{}, 64)
	if err != nil {
		b.Fatal(err)
	}
	var batch remint.Batch
	for _, r := range all {
		batch.Put = append(batch.Put, remint.Put{Record: r})
	}
	if err := to.Commit(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	return to
}
