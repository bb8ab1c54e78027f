package remint_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// openUnsynced opens a bbolt file that is not synced: what is tried with it outlives no crash.
func openUnsynced(t testing.TB) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true, NoGrowSync: true, NoFreelistSync: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// logged is a store with a log of which the beginning was trimmed: the events that are left, and the
// cursors that it gave, with how many of those come before each.
type logged struct {
	remint.Store
	left   []remint.Event
	before map[remint.Cursor]int
	name   string // of the log, as its cursors have it; "" where they have none
}

func newLogged(t testing.TB, s remint.Store) *logged {
	t.Helper()
	const events, trimmed = 12, 5
	l := &logged{Store: s, before: map[remint.Cursor]int{"": 0}}
	var all []remint.Event
	for n := range events {
		e := remint.Event{Kind: remint.EventIssue, Token: remint.ID{1, byte(n)}, Revision: uint64(n + 1), At: bedStart, Actor: "root"}
		if err := s.Commit(t.Context(), remint.Batch{Log: []remint.Event{e}}); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	var after remint.Cursor
	var given []remint.Cursor
	for range events {
		_, next, err := s.Events(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		given, after = append(given, next), next
	}
	if err := s.Commit(t.Context(), remint.Batch{Trim: given[trimmed-1]}); err != nil {
		t.Fatal(err)
	}
	for n, c := range given {
		l.before[c] = max(0, n+1-trimmed)
	}
	l.left = all[trimmed:]
	if at := strings.LastIndexByte(string(given[0]), '-'); at >= 0 {
		l.name = string(given[0][:at+1])
	}
	return l
}

// FuzzACursorIsOneThatWasGivenOrIsRefused: a text that the store has not given as a cursor is an
// error, and after one that it has, nothing is missed and nothing comes twice.
func FuzzACursorIsOneThatWasGivenOrIsRefused(f *testing.F) {
	bolt, err := storebolt.New(openUnsynced(f), nil)
	if err != nil {
		f.Fatal(err)
	}
	stores := map[string]*logged{"memory": newLogged(f, new(store.Memory)), "bolt": newLogged(f, bolt)}
	other, err := storebolt.New(openUnsynced(f), nil) // with another log
	if err != nil {
		f.Fatal(err)
	}
	foreign := newLogged(f, other)
	if foreign.name == stores["bolt"].name || foreign.name == "" {
		f.Fatalf("two logs are called %q", foreign.name)
	}

	for _, text := range []string{
		"", "1", "5", "6", "12", "13", "0", "-1", "+5", "05", " 5", "5 ", "5\n", "0x5", "1e1", "٥", "9223372036854775807", "18446744073709551616",
		"LOG1", "LOG5", "LOG12", "LOG13", "LOG0", "LOG", "LOG-1", "LOG+5", "LOG05", "LOG5x", "FOREIGN5", "b1-5", "b1--5", "b2-0000000000000000-5",
		"LOG18446744073709551615", "LOG18446744073709551616", "log5", "LOGLOG5",
	} {
		f.Add(text, 3)
		f.Add(text, 100)
	}
	f.Add("LOG5", 0)
	f.Add("5", -1)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		for name, s := range stores {
			text := strings.NewReplacer("LOG", s.name, "FOREIGN", foreign.name).Replace(text)
			n, given := s.before[remint.Cursor(text)]
			page, next, err := s.Events(t.Context(), remint.Cursor(text), limit)
			if !given {
				if err == nil || len(page) > 0 || next != "" {
					t.Fatalf("%s: %q was never given, and has %d events, the cursor %q and the error %v after it", name, text, len(page), next, err)
				}
				continue
			}
			want := s.left[n:]
			want = want[:max(0, min(limit, len(want)))]
			if err != nil || fmt.Sprint(page) != fmt.Sprint(want) || len(page) > 0 && !reflect.DeepEqual(page, want) {
				t.Fatalf("%s: after %q, %d at most: %v, %v; want %v", name, text, limit, page, err, want)
			}
			if got, known := s.before[next]; !known || len(page) > 0 && got != n+len(page) || len(page) == 0 && next != remint.Cursor(text) {
				t.Fatalf("%s: after %q, %d at most, the next cursor is %q", name, text, limit, next)
			}
		}
	})
}
