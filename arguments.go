package remint

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// The arguments of an operation as bytes, so that a retry can be told from another request.
// Each value has its length before it; lists have their number of values.

type arguments struct{ b []byte }

func (a *arguments) digest() digest { return sha256.Sum256(a.b) }

func appendLengthPrefixed(b, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

func (a *arguments) text(s string)   { a.b = appendLengthPrefixed(a.b, []byte(s)) }
func (a *arguments) number(n uint64) { a.b = binary.BigEndian.AppendUint64(a.b, n) }
func (a *arguments) flag(set bool)   { a.number(boolUint(set)) }
func (a *arguments) duration(d time.Duration) {
	a.number(uint64(d))
}

// time tells times apart that differ by more than their location.
func (a *arguments) time(t time.Time) {
	a.flag(t.IsZero())
	a.number(uint64(t.Unix()))
	a.number(uint64(t.Nanosecond()))
}

func (a *arguments) capabilities(c Capabilities) {
	a.number(uint64(c.Len()))
	for m := range c.All() {
		a.text(string(m))
	}
}

func (a *arguments) spec(s *Spec) {
	a.text(s.Name)
	a.text(s.Description)
	a.text(s.Owner)
	a.capabilities(s.Capabilities)
	a.number(uint64(len(s.Networks)))
	for _, n := range s.Networks {
		a.text(n.String())
	}
	a.time(s.ExpiresAt)
	attributes := attributesOf(s.Attributes)
	a.number(uint64(len(attributes)))
	for _, x := range attributes {
		a.text(x.name)
		a.text(x.value)
	}
	a.text(string(s.Parent[:]))
	a.text(s.Prefix)
}

func (a *arguments) rotation(r *Rotation) {
	a.number(uint64(r.Retire.mode))
	a.time(r.Retire.at)
	a.duration(r.Retire.after)
	a.number(uint64(r.Retire.past))
	a.duration(r.Retire.pastAfter)
	a.flag(r.KeepSessions)
	a.number(r.IfRevision)
	a.flag(r.Successor != nil)
	if s := r.Successor; s != nil {
		a.flag(s.Spec != nil)
		if s.Spec != nil {
			a.spec(s.Spec)
		}
		a.flag(s.Inherit)
		a.flag(s.ExpiresAt != nil)
		if s.ExpiresAt != nil {
			a.time(*s.ExpiresAt)
		}
	}
}

func (a *arguments) session(s *Session) {
	a.duration(s.Lifetime)
	a.capabilities(s.Capabilities)
	a.flag(s.Manages)
}
