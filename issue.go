package remint

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"unique"
)

// Issue makes a token. An unusable spec is an [InputError] for each problem; one whose
// Parent is unknown is [ErrNotFound], and whose Parent has ended, [ErrEnded].
func (a Actor) Issue(ctx context.Context, spec Spec) (Grant, error) {
	spec = spec.clone()
	q := func() request {
		var args arguments
		args.spec(&spec)
		return request{requestIssue, ID{}, args.digest()}
	}
	return a.grant(ctx, q, func(t *attempt, c *caller) (Secret, ID, error) {
		r, err := t.newRecord(c, spec, "Spec", nil)
		if err != nil {
			return Secret{}, ID{}, err
		}
		return t.mint(r, ID{}, a.retry == nil), r.id, nil
	})
}

// mint gives a new record its first secret, and adds its draft.
func (t *attempt) mint(r record, other ID, confirmed bool) Secret {
	secret := t.i.newSecret(&r, t.now, confirmed)
	t.create(r, other).minted = true
	return secret
}

func (s Spec) clone() Spec {
	s.Networks = slices.Clone(s.Networks)
	s.Attributes = attributeMapOf(attributesOf(s.Attributes))
	return s
}

// A place is where a successor stands: where its predecessor does.
type place struct {
	predecessor *Record
	above       []*Record
}

// newRecord judges a Spec to be issued by the caller, and returns its record, without a
// secret. field is what the Spec is called in errors.
func (t *attempt) newRecord(c *caller, spec Spec, field string, at *place) (record, error) {
	var p problems
	spec.check(field, &p)
	if at != nil {
		at.check(&spec, field, &p)
	}
	t.i.checkExpiry(spec.ExpiresAt, t.now, t.now, field+".ExpiresAt", &p)
	prefix := t.i.prefixHandle(spec.Prefix, field+".Prefix", &p)
	if err := p.err(); err != nil {
		return record{}, err
	}
	if !c.full {
		return record{}, ErrForbidden
	}

	// Where it stands: its owner, and its ancestors.
	if owner, bounded := c.bounded(); bounded {
		if spec.Owner != "" && spec.Owner != owner {
			return record{}, ErrForbidden
		}
		spec.Owner = owner
	}
	if c.kind == actorBearer {
		if spec.Parent.IsZero() && at == nil {
			spec.Parent = c.who.parent
		}
		if len(spec.Attributes) == 0 {
			spec.Attributes = c.cred.rec.attributeMap()
		}
	}
	var above []*Record
	switch {
	case at != nil:
		above = at.above
	case !spec.Parent.IsZero():
		parent, err := t.target(c, spec.Parent)
		if err != nil {
			return record{}, err
		}
		if spec.Owner == "" {
			spec.Owner = parent.owner()
		}
		if spec.Owner != parent.owner() {
			p.add(field+".Owner", fmt.Sprintf("%.40q is not the parent's", spec.Owner))
			return record{}, p.err()
		}
		if above, err = t.live(parent); err != nil {
			return record{}, err
		}
		above = append([]*Record{parent}, above...)
	}
	if !c.below(above) {
		return record{}, ErrForbidden // it would escape what ends its issuer
	}
	attributes := attributesOf(spec.Attributes)
	if err := c.covers(spec.Capabilities, attributes, spec.Networks, above); err != nil {
		return record{}, err
	}
	if len(above) > 0 {
		if len(above) == maxDepth {
			p.add(field+".Parent", fmt.Sprintf("stands at level %d, the deepest there is", maxDepth))
		}
		if !above[0].caps.Contains(spec.Capabilities) {
			p.add(field+".Capabilities", "are not within the parent's")
		}
		if len(spec.Networks) > 0 && !networksWithin(spec.Networks, above[0].networks) {
			p.add(field+".Networks", "are not within the parent's")
		}
		if err := p.err(); err != nil {
			return record{}, err
		}
	}

	r := t.blank()
	r.prefix, r.tenant, r.parent = prefix, unique.Make(spec.Owner), spec.Parent
	if len(above) > 0 {
		r.parentEpoch = above[0].epoch
	}
	r.fill(&spec)
	return r, nil
}

// blank returns the record of a new token without a secret.
func (t *attempt) blank() record {
	r := newRecord()
	r.id, r.birth.at, r.changedAt, r.epoch = newID(t.now), t.now, t.now, 1
	r.setLabel("", t.actor)
	return r
}

// check puts the successor in its place, and adds the problems of a Spec that says another.
func (at *place) check(spec *Spec, field string, p *problems) {
	r := at.predecessor
	if spec.Owner != "" && spec.Owner != r.owner() {
		p.add(field+".Owner", fmt.Sprintf("%.40q is not the predecessor's", spec.Owner))
	}
	if !spec.Parent.IsZero() && spec.Parent != r.parent {
		p.add(field+".Parent", "is not the predecessor's")
	}
	spec.Owner, spec.Parent = r.owner(), r.parent
	if spec.Prefix == "" {
		spec.Prefix = r.prefix.Value()
	}
}

// Get returns a token, ended ones included until they are swept.
func (a Actor) Get(ctx context.Context, id ID) (Token, error) {
	t, records, err := a.do(ctx, false, func(t *attempt, c *caller) error {
		_, err := t.target(c, id)
		return err
	})
	if err != nil {
		return Token{}, err
	}
	return t.token(records, id), nil
}

// Live returns a live token and its ancestors, the root last, as one judging has read them,
// past any cache. A token that has ended, or one of whose ancestors has, is [ErrEnded]; so is
// a session whose secret of its parent has stopped.
func (a Actor) Live(ctx context.Context, id ID) ([]Token, error) {
	var line []Token
	_, _, err := a.do(ctx, false, func(t *attempt, c *caller) error {
		r, err := t.target(c, id)
		if err != nil {
			return err
		}
		above, err := t.live(r)
		if err != nil {
			return err
		}
		line = line[:0]
		for _, x := range append([]*Record{r}, above...) {
			line = append(line, newToken(x, slotNewest, t.now))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return line, nil
}

// A Query selects tokens. The zero value: the live ones of owner "" (or of the
// actor's own) that have no parent.
type Query struct {
	Owner     string // a bounded actor finds nothing of any but its own
	AllOwners bool   // only an Operator, else [ErrForbidden]; Owner and Parent are ignored
	Parent    ID     // the children of this token instead; Owner is ignored
	Expired   bool   // also what has expired and was not replaced: a Successor can be made of it
	Ended     bool   // also what does not live: revoked, expired, retired, lapsed, under an ended ancestor
	After     ID     // only what comes after this token, to resume
}

// listPage is how many records are read at a time.
const listPage = 256

// List returns the tokens that q selects, in the order of their IDs. It may run
// while tokens change; it ends after the first error. The actor is judged again for
// every page of 256.
func (a Actor) List(ctx context.Context, q Query) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		for more := true; more; {
			var page []Token
			var err error
			page, q.After, more, err = a.listPage(ctx, q)
			if err != nil {
				yield(Token{}, err)
				return
			}
			for _, t := range page {
				if !yield(t, nil) {
					return
				}
			}
		}
	}
}

// listPage returns the next tokens, the last record that was read for them, and whether
// there may be more.
func (a Actor) listPage(ctx context.Context, q Query) (page []Token, last ID, more bool, err error) {
	_, _, err = a.do(ctx, false, func(t *attempt, c *caller) error {
		page, last, more = nil, q.After, false
		owner, bounded := c.bounded()
		switch {
		case q.AllOwners:
			if bounded {
				return ErrForbidden
			}
		case !q.Parent.IsZero():
			parent, err := t.target(c, q.Parent)
			if err != nil {
				return err
			}
			owner = parent.owner()
		case bounded:
			if q.Owner != "" && q.Owner != owner {
				return nil // no such owner, for this caller
			}
		default:
			owner = q.Owner
		}
		var found []*Record
		if q.AllOwners {
			found, err = t.i.store.Scan(ctx, q.After, listPage)
		} else {
			found, err = t.i.store.List(ctx, owner, q.Parent, q.After, listPage)
		}
		if err != nil {
			return unavailable(ctx, err)
		}
		more = len(found) == listPage
		for _, r := range found {
			last = r.id
			if !q.Ended {
				_, above, err := t.ancestors(r)
				if err != nil {
					return err
				}
				ended := t.current(r).ended(t.now)
				if above != "" || ended != "" && !(q.Expired && ended == ReasonExpired && r.successor.IsZero()) {
					continue
				}
			}
			page = append(page, newToken(r, slotNewest, t.now))
		}
		return nil
	})
	return page, last, more, err
}

// Update changes a live token: change edits its Spec, and may be called again
// when somebody else was faster. An error from change is returned as it is.
// Owner, Parent and Prefix cannot change. Taking a capability or a network away
// ends the token's descendants, and changing its attributes, of which they have a copy, its
// sessions. A token that has ended is [ErrEnded].
func (a Actor) Update(ctx context.Context, id ID, change func(*Spec) error) (Token, error) {
	t, records, err := a.do(ctx, false, func(t *attempt, c *caller) error {
		r, err := t.target(c, id)
		if err != nil {
			return err
		}
		if err := c.mayChange(t, r); err != nil {
			return err
		}
		above, err := t.live(r)
		if err != nil {
			return err
		}
		was := r.spec()
		spec := was.clone()
		if err := change(&spec); err != nil {
			return err
		}
		return t.update(c, r, above, was, spec)
	})
	if err != nil {
		return Token{}, err
	}
	return t.token(records, id), nil
}

func (t *attempt) update(c *caller, r *Record, above []*Record, was, spec Spec) error {
	var p problems
	spec.check("Spec", &p)
	if !spec.ExpiresAt.Equal(was.ExpiresAt) {
		t.i.checkExpiry(spec.ExpiresAt, r.createdAt(), t.now, "Spec.ExpiresAt", &p)
	}
	if spec.Owner != was.Owner {
		p.add("Spec.Owner", "cannot change")
	}
	if spec.Parent != was.Parent {
		p.add("Spec.Parent", "cannot change")
	}
	if spec.Prefix != was.Prefix {
		p.add("Spec.Prefix", "cannot change")
	}
	if err := p.err(); err != nil {
		return err
	}
	next := r.clone()
	next.fill(&spec)
	if err := c.covers(next.caps, next.attributes, next.networks, above); err != nil {
		return err
	}
	if c.isSelf(r) {
		// Nobody loosens the credential by which it acts: not in time, and not in place.
		if r.expires != 0 && (next.expires == 0 || next.expires > r.expires) || !networksWithin(next.networks, r.networks) {
			return ErrForbidden
		}
	}
	if len(above) > 0 {
		if !above[0].caps.Contains(spec.Capabilities) {
			p.add("Spec.Capabilities", "are not within the parent's")
		}
		if len(spec.Networks) > 0 && !networksWithin(spec.Networks, above[0].networks) {
			p.add("Spec.Networks", "are not within the parent's")
		}
		if err := p.err(); err != nil {
			return err
		}
	}
	if next.name() == r.name() && next.description == r.description && next.caps.text == r.caps.text &&
		slices.Equal(next.networks, r.networks) && slices.Equal(next.attributes, r.attributes) && next.expires == r.expires {
		return nil
	}
	d := t.change(r, EventUpdate, ID{}, r.newest.generation)
	d.fill(&spec)
	switch {
	case !d.caps.Contains(r.caps) || !networksWithin(r.networks, d.networks):
		d.endDescendants(t.now)
	case !slices.Equal(d.attributes, r.attributes):
		d.endOwnSessions() // they have a copy of what was true
	}
	return nil
}

// Revoke ends a token, all its secrets and its descendants, for ever. Revoking one
// that has ended is not an error. A successor that a rotation gave it lives on.
func (a Actor) Revoke(ctx context.Context, id ID) error {
	_, _, err := a.do(ctx, true, func(t *attempt, c *caller) error {
		r, err := t.target(c, id)
		if err != nil {
			return err
		}
		if err := c.mayRevoke(r); err != nil {
			return err
		}
		t.revoke(r)
		return nil
	})
	return err
}

// RevokeSecret is [Actor.Revoke] of the token that text is a live secret of, from wherever it
// may be presented. It does not confirm the secret. Where the actor sees no such token it is
// [ErrNotFound]; so it is where text is no live secret of one that the actor may revoke, and
// nothing is changed.
func (a Actor) RevokeSecret(ctx context.Context, text string) error {
	_, _, err := a.do(ctx, true, func(t *attempt, c *caller) error {
		var p parsed
		if !p.parse(t.i, text) {
			return ErrNotFound
		}
		r, err := t.target(c, p.id)
		if err != nil {
			return err
		}
		// Whether the caller may is judged first: who may not learns nothing of the secret.
		if err := c.mayRevoke(r); err != nil {
			return err
		}
		presented := credential{rec: r}
		if r.prefix != p.prefix {
			return ErrNotFound
		}
		if err := t.i.matchSecret(p.secret, t.now, &presented); err != nil {
			return err
		}
		if presented.reason == "" {
			presented.judgeLife(t.now)
		}
		_, above, err := t.ancestors(r)
		if err != nil {
			return err
		}
		if presented.reason != "" || above != "" {
			return ErrNotFound
		}
		t.revoke(r)
		return nil
	})
	return err
}

// mayRevoke judges mayEnd for revoking: any session may revoke itself.
func (c *caller) mayRevoke(r *Record) error {
	if r == c.cred.rec && c.kind == actorBearer && r.startedBy != 0 {
		return nil
	}
	return c.mayEnd(r)
}

// revoke drafts the revocation of r.
func (t *attempt) revoke(r *Record) {
	if r.revokedAt == 0 {
		t.change(r, EventRevoke, ID{}, r.newest.generation).revokedAt = t.now
	}
}
