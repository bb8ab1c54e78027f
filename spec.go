package remint

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"unique"
)

// What a Spec may hold.
const (
	maxName            = 256
	maxDescription     = 4096
	maxCapabilitiesLen = 32 << 10 // bytes in all, so that a record stays within maxRecord
	maxNetworks        = 256
	maxAttributes      = 64
	maxAttributeBytes  = 4096
	maxDepth           = 4 // levels, the root included
)

// latest is the last time that RFC 3339 and package time's JSON can write.
var latest = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - 1

// textProblem says what is wrong with a text for people, or "".
func textProblem(s string, most int) string {
	if len(s) > most {
		return fmt.Sprintf("has %d bytes, and may have %d", len(s), most)
	}
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	if k := strings.IndexFunc(s, unicode.IsControl); k >= 0 {
		return fmt.Sprintf("has a control character at byte %d", k)
	}
	return ""
}

// check adds the problems of what a Spec says by itself, with fields named below field.
func (s *Spec) check(field string, p *problems) {
	text := func(name, problem string) {
		if problem != "" {
			p.add(field+"."+name, problem)
		}
	}
	text("Name", textProblem(s.Name, maxName))
	text("Description", textProblem(s.Description, maxDescription))
	text("Owner", textProblem(s.Owner, maxOwner))

	members := s.Capabilities.Len()
	size := len(s.Capabilities.text) - max(0, members-1) // without what separates them
	switch {
	case members > maxCapabilities:
		text("Capabilities", fmt.Sprintf("has %d members, and may have %d", members, maxCapabilities))
	case size > maxCapabilitiesLen:
		text("Capabilities", fmt.Sprintf("has %d bytes in all, and may have %d", size, maxCapabilitiesLen))
	}

	if len(s.Networks) > maxNetworks {
		text("Networks", fmt.Sprintf("has %d members, and may have %d", len(s.Networks), maxNetworks))
	} else {
		for k, n := range s.Networks {
			text(fmt.Sprintf("Networks[%d]", k), networkProblem(n))
		}
	}

	size = 0
	for name, value := range s.Attributes {
		size += len(name) + len(value)
	}
	if len(s.Attributes) > maxAttributes || size > maxAttributeBytes {
		text("Attributes", fmt.Sprintf("has %d members of %d bytes in all, and may have %d of %d",
			len(s.Attributes), size, maxAttributes, maxAttributeBytes))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		text("Attributes", attributeProblem(name, s.Attributes[name]))
	}
}

// CheckSpec reports what [Actor.Issue] would say of the spec by itself, now, whoever asks
// for it: an [InputError] for each problem.
func (i *Issuer) CheckSpec(spec Spec) error {
	var p problems
	spec.check("Spec", &p)
	now := i.clock()
	i.checkExpiry(spec.ExpiresAt, now, now, "Spec.ExpiresAt", &p)
	i.prefixHandle(spec.Prefix, "Spec.Prefix", &p)
	return p.err()
}

func networkProblem(n netip.Prefix) string {
	switch {
	case !n.IsValid():
		return "is not a valid prefix"
	case n.Addr().Is4In6():
		return fmt.Sprintf("%s is an IPv4 network written as IPv6: write it as IPv4", n)
	case n != n.Masked():
		return fmt.Sprintf("%s has bits beyond its length: write %s", n, n.Masked())
	}
	return ""
}

func attributeProblem(name, value string) string {
	switch {
	case name == "":
		return "has an empty name"
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return fmt.Sprintf("%+.40q is not valid UTF-8", name)
	}
	return ""
}

// checkExpiry adds the problems of an expiry of something made at made, as of now.
func (i *Issuer) checkExpiry(at time.Time, made, now int64, field string, p *problems) {
	us := fromTime(at)
	switch {
	case at.IsZero():
		if i.maxLifetime != 0 {
			p.add(field, fmt.Sprintf("is never, and Options.MaxLifetime is %v", micros(i.maxLifetime)))
		}
	case at.Year() > 9999 || us > latest:
		p.add(field, "is after the year 9999; the zero time stands for never")
	case us <= now || at.Year() < 1970:
		p.add(field, fmt.Sprintf("%s is not in the future", at.UTC().Format(time.RFC3339Nano)))
	case i.maxLifetime != 0 && us-made > i.maxLifetime:
		p.add(field, fmt.Sprintf("is more than %v away, which is Options.MaxLifetime", micros(i.maxLifetime)))
	}
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// prefixHandle returns the prefix of that text if this Issuer's tokens may have it.
func (i *Issuer) prefixHandle(text, field string, p *problems) unique.Handle[string] {
	mine := i.prefixes[:len(i.prefixes)-1] // without the session prefix
	if text == "" {
		return mine[0].handle
	}
	for _, x := range mine {
		if x.text == text {
			return x.handle
		}
	}
	p.add(field, fmt.Sprintf("%.40q is not one of Options.Prefixes", text))
	return mine[0].handle
}

// fill puts what a checked Spec says into a record; owner, parent and prefix aside.
func (r *record) fill(s *Spec) {
	r.setLabel(s.Name, r.issuedBy())
	r.ownOrigin()
	r.description = s.Description
	r.caps = s.Capabilities
	r.networks = slices.Clone(s.Networks)
	r.attributes = attributesOf(s.Attributes)
	r.expires = fromTime(s.ExpiresAt)
}

// newSecret gives a record its next secret, and returns the token's text.
func (i *Issuer) newSecret(r *record, now int64, confirmed bool) Secret {
	r.birth.last++
	text, secret := newText(r.prefix.Value(), r.id)
	pepper := i.firstPepper()
	sum, _ := i.digest(secret, pepper)
	r.newest = slot{
		digest: sum, pepper: pepper, createdAt: now,
		generation: r.birth.last, sessions: r.birth.last, confirmed: confirmed,
	}
	return newSecret(text)
}
