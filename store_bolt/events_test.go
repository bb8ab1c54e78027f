package storebolt

import (
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// A cursor that another log gave, or this one before an older copy of it was restored, would
// skip events without a word.
func TestACursorIsOfItsLog(t *testing.T) {
	path, older := tempFile(t), tempFile(t)
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 1, 5))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	copyFile(t, older, path)
	s = openStore(t, path, nil)
	mustCommit(t, s, put(1, 6, 9))
	_, cursor, err := s.Events(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	other := openStore(t, tempFile(t), nil)
	mustCommit(t, other, put(1, 1, 20))
	for want, s := range map[string]*Store{
		"is not one of this log":                       other,
		"is beyond the end of this log, 5: was an old": openStore(t, older, nil),
	} {
		if page, _, err := s.Events(t.Context(), cursor, 100); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Events: %v, %v, want an error that it %s", page, err, want)
		}
		err := s.Commit(t.Context(), remint.Batch{Trim: cursor})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Trim: %v, want an error that it %s", err, want)
		}
	}
}

func TestACursorHasOneForm(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 5))
	for _, position := range []string{"", "0", "01", "+1", "1 ", "-1", "6", "18446744073709551616", "x"} {
		c := remint.Cursor(s.cursorPrefix() + position)
		if _, _, err := s.Events(t.Context(), c, 1); err == nil {
			t.Errorf("Events(%q) has no error", c)
		}
	}
	for _, position := range []string{"1", "5"} {
		if _, _, err := s.Events(t.Context(), remint.Cursor(s.cursorPrefix()+position), 1); err != nil {
			t.Error(err)
		}
	}
}

func TestManyEventsAreTrimmedAtOnce(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	s.db.NoSync = true // for speed
	b := put(1, 1, 60)
	b.Put = nil
	for range 200 {
		mustCommit(t, s, b)
	}
	mustCommit(t, s, remint.Batch{Trim: s.cursor(11_990)})
	page, cursor, err := s.Events(t.Context(), "", 100)
	if len(page) != 10 || cursor != s.cursor(12_000) || err != nil {
		t.Errorf("%d events, %q, %v", len(page), cursor, err)
	}
}
