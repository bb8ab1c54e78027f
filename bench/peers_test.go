package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// pretender is a peer as it should be.
func pretender() *peer {
	p := &peer{name: "pretender", texts: []string{"one-0123456789", "two-0123456789", "red-0123456789"}, owner: ownerOf}
	live := map[string]string{}
	for i, text := range p.texts {
		live[text] = ownerOf(i)
	}
	p.check = func(text string) (string, error) {
		if owner, ok := live[text]; ok {
			return owner, nil
		}
		return "", errRefused
	}
	p.revoke = func(text string) error { delete(live, text); return nil }
	return p
}

func TestAPeerThatDoesNotDoTheJobIsNotMeasured(t *testing.T) {
	if err := pretender().prove(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(p *peer){
		"accepts anything": func(p *peer) { p.check = func(string) (string, error) { return ownerOf(0), nil } },
		"accepts the beginning of one": func(p *peer) {
			was := p.check
			p.check = func(s string) (string, error) {
				for _, text := range p.texts {
					if s != "" && strings.HasPrefix(text, s) {
						return was(text)
					}
				}
				return "", errRefused
			}
		},
		"refuses everything": func(p *peer) { p.check = func(string) (string, error) { return "", errRefused } },
		"takes one for another's": func(p *peer) {
			p.owner = func(i int) string { return ownerOf(i + 1) }
		},
		"revokes nothing":    func(p *peer) { p.revoke = func(string) error { return nil } },
		"fails when revoked": func(p *peer) { p.revoke = func(string) error { return errors.New("bad") } },
	} {
		p := pretender()
		spoil(p)
		if p.prove() == nil {
			t.Errorf("one that %s passes", name)
		}
	}
}

func TestTamperChangesOneCharacterToAnotherOfTheAlphabet(t *testing.T) {
	const text = "pk_09AZaz-_.x.Zz9"
	for at := range text {
		changed := tamper(text, at)
		differ := 0
		for i := range changed {
			if changed[i] != text[i] {
				differ++
			}
		}
		if len(changed) != len(text) || differ != 1 {
			t.Errorf("at %d: %q", at, changed)
		}
		if strings.Trim(changed, base62+"-_.") != "" {
			t.Errorf("at %d: %q has a foreign character", at, changed)
		}
	}
}

// The vectors 4-E-1, 4-E-3 and 4-S-1 of github.com/paseto-standard/test-vectors.
func TestPASETOByHandReadsTheVectorsOfItsSpecification(t *testing.T) {
	key, _ := hex.DecodeString("707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f")
	public, _ := hex.DecodeString("1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2")
	local := func(text string) ([]byte, error) { return openPaseto(key, text) }
	for name, v := range map[string]struct {
		open       func(string) ([]byte, error)
		text, want string
	}{
		"4-E-1": {local, "v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr68PS4AXe7If_ZgesdkUMvSwscFlAl1pk5HC0e8kApeaqMfGo_7OpBnwJOAbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0S92dx0OW4pgy7omxgf3S8c3LlQg", "this is a secret message"},
		"4-E-3": {local, "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6-tyebyWG6Ov7kKvBdkrrAJ837lKP3iDag2hzUPHuMKA", "this is a secret message"},
		"4-S-1": {func(text string) ([]byte, error) { return openSignedPaseto(public, text) }, "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDowMDowMCswMDowMCJ9bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaSeef1QlXEFtkqxT1ciiQEDA", "this is a signed message"},
	} {
		message, err := v.open(v.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var payload struct{ Data string }
		if err := json.Unmarshal(message, &payload); err != nil || payload.Data != v.want {
			t.Errorf("%s: %q, %v", name, message, err)
		}
	}
	nonce, _ := hex.DecodeString("df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c2fcc3ad8")
	text, err := sealPaseto(key, nonce, []byte(`{"data":"this is a secret message","exp":"2022-01-01T00:00:00+00:00"}`))
	if want := "v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4kiqw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2mRvE2IcweP-PRdoHjd5-RHCiExR1IK6t6-tyebyWG6Ov7kKvBdkrrAJ837lKP3iDag2hzUPHuMKA"; err != nil || text != want {
		t.Errorf("4-E-3 is sealed as %q, %v", text, err)
	}
}
