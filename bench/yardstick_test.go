package main

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/remint-go/remint"
)

func TestTheYardsticksJudgeAsRemintDoes(t *testing.T) {
	tok, err := issueTokens(t.Context(), 50, remint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	yard, sharded, flat := tok.yardstick(1), tok.yardstick(64), tok.flatTable()
	judges := map[string]func(string) (string, error){
		"R":              func(text string) (string, error) { return yard.verify(text, tok.prefix) },
		"R with shards":  func(text string) (string, error) { return sharded.verify(text, tok.prefix) },
		"F":              func(text string) (string, error) { return flat.verify(text, tok.prefix) },
		"remint, itself": check(t.Context(), tok.issuer),
	}
	for name, judge := range judges {
		if err := tok.prove(judge); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for at := range tok.texts[0] {
			if at < tok.prefix && name != "remint, itself" {
				continue // the yardsticks have only one
			}
			changed := tamper(tok.texts[0], at)
			if _, err := judge(changed); err == nil {
				t.Errorf("%s: %q is accepted instead of %q", name, changed, tok.texts[0])
			}
			if at < len(changed)-6 {
				changed = withChecksum(changed[:len(changed)-6])
			}
			if _, err := judge(changed); err == nil {
				t.Errorf("%s: %q is accepted instead of %q", name, changed, tok.texts[0])
			}
		}
	}
}

func TestTheYardsticksRefuseWhatHasExpired(t *testing.T) {
	tok, err := issueTokens(t.Context(), 2, remint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := tok.texts[0]
	yard, flat := tok.yardstick(1), tok.flatTable()
	id, _ := digestOf(text, tok.prefix)
	past := time.Now().Add(-time.Second).UnixMicro()
	yard.load(id).expires, flat.slot(id).expires = past, past
	_, err1 := yard.verify(text, tok.prefix)
	_, err2 := flat.verify(text, tok.prefix)
	if err1 == nil || err2 == nil {
		t.Errorf("an expired token: R says %v, F says %v", err1, err2)
	}

	// And a session's parent.
	yard = newYardstick(1, tok.owners)
	parent := ulid.Make()
	yard.add(text, tok.prefix, parent, 0)
	if _, err := yard.verify(text, tok.prefix); err == nil {
		t.Error("a session without its parent is accepted")
	}
	yard.shards[0].m[parent] = &yardToken{expires: time.Now().Add(day).UnixMicro()}
	if _, err := yard.verify(text, tok.prefix); err != nil {
		t.Error(err)
	}
	yard.shards[0].m[parent].expires = past
	if _, err := yard.verify(text, tok.prefix); err == nil {
		t.Error("a session of an expired parent is accepted")
	}
}

func TestTheYardsticksAllocateNothing(t *testing.T) {
	tok, err := issueTokens(t.Context(), 10, remint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	yard, flat := tok.yardstick(1), tok.flatTable()
	for name, judge := range map[string]func(string, int) (string, error){"R": yard.verify, "F": flat.verify} {
		if n := testing.AllocsPerRun(100, func() { judge(tok.texts[0], tok.prefix) }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
