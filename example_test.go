package remint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"regexp"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

var addr = netip.MustParseAddr("192.0.2.7")

// exampleClock makes the examples' output the same every day.
func exampleClock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func newIssuer() *remint.Issuer {
	issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"acme_"}, Now: exampleClock})
	if err != nil {
		log.Fatal(err)
	}
	return issuer
}

// Issue a token, and verify what somebody presents.
func Example() {
	ctx := context.Background()
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		log.Fatal(err)
	}
	grant, err := issuer.Operator("setup").Issue(ctx, remint.Spec{
		Name:         "ci",
		Owner:        "acme",
		Capabilities: remint.Allow("reports:read"),
	})
	if err != nil {
		log.Fatal(err)
	}
	presented := grant.Secret.Reveal() // the only time that it can be read

	tok, err := issuer.Verify(ctx, presented, addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok.Owner(), tok.Name(), tok.Allows("reports:read"), tok.Allows("reports:write"))

	_, err = issuer.Verify(ctx, presented[:len(presented)-1]+"?", addr)
	fmt.Println(errors.Is(err, remint.ErrDenied))
	// Output:
	// acme ci true false
	// true
}

// Options that cannot be used are all reported at once.
func ExampleNew() {
	_, err := remint.New(new(store.Memory), &remint.Options{
		Prefixes: []string{"pk"},
		Peppers:  [][]byte{[]byte("short")},
	})
	fmt.Println(err)
	// Output:
	// remint: Options.Prefixes[0]: does not end with its separator, _ or -
	// remint: Options.Peppers[0]: has 5 bytes, and needs at least 32
}

// A secret cannot be printed, logged or encoded by accident.
func ExampleSecret() {
	ctx := context.Background()
	issuer := newIssuer()
	grant, err := issuer.Operator("setup").Issue(ctx, remint.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v %q %+v\n", grant.Secret, grant.Secret, []remint.Secret{grant.Secret})
	_, err = json.Marshal(grant)
	fmt.Println(err != nil)
	fmt.Println(len(grant.Secret.Reveal()))
	// Output:
	// [redacted] [redacted] [[redacted]]
	// true
	// 80
}

// What to look for in repositories and logs.
func ExampleIssuer_Pattern() {
	issuer := newIssuer()
	grant, err := issuer.Operator("setup").Issue(context.Background(), remint.Spec{})
	if err != nil {
		log.Fatal(err)
	}
	scanner := regexp.MustCompile(issuer.Pattern())
	leak := "curl -H 'Authorization: Bearer " + grant.Secret.Reveal() + "' https://example.com"
	id, err := issuer.Identify(scanner.FindString(leak))
	fmt.Println(id == grant.Token.ID(), err)
	// Output: true <nil>
}

// What happened, and who did it.
func ExampleIssuer_Events() {
	ctx := context.Background()
	issuer := newIssuer()
	grant, err := issuer.Operator("alice").Issue(ctx, remint.Spec{Owner: "acme"})
	if err != nil {
		log.Fatal(err)
	}
	if err := issuer.Member("acme", "bob", remint.Capabilities{}).Revoke(ctx, grant.Token.ID()); err != nil {
		log.Fatal(err)
	}
	for cursor := remint.Cursor(""); ; {
		page, next, err := issuer.Events(ctx, cursor)
		if err != nil {
			log.Fatal(err)
		}
		if len(page) == 0 {
			break // keep next, and go on from there later
		}
		for _, e := range page {
			fmt.Println(e.Kind, "by", e.Actor)
		}
		cursor = next
	}
	// Output:
	// issue by alice
	// revoke by bob
}

// A capability covers itself and everything below.
func ExampleCapabilities_Allows() {
	caps := remint.Allow("reports", "dataset:*:query")
	fmt.Println(caps.Allows("reports:read"), caps.Allows("report"))
	fmt.Println(caps.Allows(remint.Join("dataset", "a:b", "query")), caps.Allows("dataset:logs:ingest"))

	_, err := remint.ParseCapabilities([]string{"reports:read", "reports::write"})
	fmt.Println(err)
	// Output:
	// true false
	// true false
	// remint: Capabilities[1]: segment 2 is empty
}

// What an update takes away is gone for what stands below, too.
func ExampleActor_Update() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("alice")
	grant, err := admin.Issue(ctx, remint.Spec{Name: "ci", Capabilities: remint.Allow("deploy", "reports")})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := admin.Update(ctx, grant.Token.ID(), func(s *remint.Spec) error {
		s.Name, s.Capabilities = "ci (read only)", remint.Allow("reports:read")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok.Name(), tok.Capabilities(), tok.State().Revision)
	// Output: ci (read only) reports:read 2
}

// A token as JSON has what is public of it.
func ExampleToken_MarshalJSON() {
	issuer := newIssuer()
	grant, err := issuer.Operator("alice").Issue(context.Background(), remint.Spec{
		Name: "ci", Owner: "acme", Capabilities: remint.Allow("deploy"), ExpiresAt: exampleClock().Add(time.Hour),
	})
	if err != nil {
		log.Fatal(err)
	}
	data, err := json.Marshal(grant.Token)
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(regexp.MustCompile(`"id":"\w+"`).ReplaceAll(data, []byte(`"id":"01…"`)))
	// Output: {"id":"01…","name":"ci","owner":"acme","capabilities":["deploy"],"expires_at":"2026-03-01T13:00:00Z","prefix":"acme_","state":{"created_at":"2026-03-01T12:00:00Z","current":{"created_at":"2026-03-01T12:00:00Z"},"issued_by":"alice","epoch":1,"revision":1}}
}

// Peppers are keys outside the store: without them its digests are of no use to anybody,
// not even to check a guess. To change one, put the new one first.
func ExampleIssuer_CheckPeppers() {
	ctx := context.Background()
	db := new(store.Memory)
	old, fresh := []byte("an old key of 32 bytes or more .."), []byte("a fresh key of 32 bytes or more .")
	issuer, err := remint.New(db, &remint.Options{Peppers: [][]byte{old}})
	if err != nil {
		log.Fatal(err)
	}
	grant, err := issuer.Operator("setup").Issue(ctx, remint.Spec{})
	if err != nil {
		log.Fatal(err)
	}

	issuer, err = remint.New(db, &remint.Options{Peppers: [][]byte{fresh, old}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := issuer.Verify(ctx, grant.Secret.Reveal(), addr); err != nil {
		log.Fatal(err)
	}
	if err := issuer.Sweep(ctx); err != nil { // as the service does every minute
		log.Fatal(err)
	}
	counts, err := issuer.CheckPeppers(ctx)
	fmt.Println(counts[remint.PepperID(old)], counts[remint.PepperID(fresh)], err)
	// Output: 0 1 <nil>
}
