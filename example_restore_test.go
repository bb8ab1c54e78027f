package remint_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/remint-go/remint"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// A backup is restored. Without AfterRestore, what was revoked since would live again.
func ExampleActor_AfterRestore() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "remint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file, backup := filepath.Join(dir, "tokens.db"), filepath.Join(dir, "backup.db")
	db, issuer := openTokens(file)
	admin := issuer.Operator("alice")
	issue := func(name string) remint.Grant {
		g, err := admin.Issue(ctx, remint.Spec{Name: name})
		if err != nil {
			log.Fatal(err)
		}
		return g
	}
	ci, leaked, deploy := issue("ci"), issue("leaked"), issue("deploy")

	if err := backUp(ctx, db, backup); err != nil {
		log.Fatal(err)
	}

	// Life goes on. Somebody reads the log all the time, and keeps it elsewhere.
	if err := admin.Revoke(ctx, leaked.Token.ID()); err != nil {
		log.Fatal(err)
	}
	if _, err := admin.Rotate(ctx, deploy.Token.ID(), remint.Rotation{}); err != nil {
		log.Fatal(err)
	}
	var shipped []remint.Event
	for cursor := remint.Cursor(""); ; {
		page, next, err := issuer.Events(ctx, cursor)
		if err != nil {
			log.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		shipped, cursor = append(shipped, page...), next
	}

	// The disk dies. The backup takes its place, and the time is written down.
	if err := errors.Join(db.Close(), os.Remove(file), os.Rename(backup, file)); err != nil {
		log.Fatal(err)
	}
	at := time.Now()
	db, issuer = openTokens(file)
	defer db.Close()

	// Before the service takes requests.
	admin = issuer.Operator("alice")
	done, err := admin.AfterRestore(ctx, remint.Restore{At: at, Log: func(yield func(remint.Event, error) bool) {
		for _, e := range shipped {
			if !yield(e, nil) {
				return
			}
		}
	}})
	if err != nil {
		log.Fatal(err) // call it again, with the same time
	}
	fmt.Printf("%d restored, %d revoked, %d stopped\n", done.Tokens, done.Revoked, done.Stopped)

	for _, g := range []remint.Grant{ci, leaked, deploy} {
		_, err := issuer.Verify(ctx, g.Secret.Reveal(), addr)
		fmt.Println(g.Token.Name(), err == nil)
	}
	for tok, err := range admin.List(ctx, remint.Query{AllOwners: true}) {
		if err != nil {
			log.Fatal(err)
		}
		if tok.State().Current == (remint.SecretState{}) {
			fmt.Println(tok.Name(), "needs a new secret")
		}
	}
	// Output:
	// 3 restored, 1 revoked, 1 stopped
	// ci true
	// leaked false
	// deploy false
	// deploy needs a new secret
}

func openTokens(path string) (*storebolt.Store, *remint.Issuer) {
	db, err := storebolt.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := remint.New(db, nil)
	if err != nil {
		log.Fatal(err)
	}
	return db, issuer
}

// backUp writes a backup that is whole, or is not there.
func backUp(ctx context.Context, db *storebolt.Store, path string) error {
	f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = db.Backup(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
