package crash

import (
	"github.com/remint-go/remint"
)

func (a *act) issue() error {
	p := a.tokens[a.ID]
	if p != nil && (!a.live(p, a.now) || !within(a.Caps, p.caps)) || over(a.Expires, a.now) {
		return errRefused
	}
	t := a.fresh(p)
	if p == nil {
		t.owner = a.Owner
	}
	t.name, t.caps, t.note, t.expires = a.Name, a.Caps, a.Note, a.Expires
	a.mint(t, true)
	a.create(t, remint.ID{})
	return nil
}

func (a *act) session() error {
	p := a.target()
	current, _, _ := p.roles(a.now)
	if !a.live(p, a.now) || current == nil || p.startedBy != 0 {
		return errRefused
	}
	t := a.fresh(p)
	t.startedBy, t.caps, t.note = current.sessions, p.caps, p.note
	t.expires = earliest(a.now+a.Lifetime, p.expires)
	a.mint(t, true)
	a.create(t, remint.ID{})
	return nil
}

func (a *act) update() error {
	t := a.target()
	p := a.tokens[t.parent]
	if !a.live(t, a.now) || p != nil && !within(a.Caps, p.caps) {
		return errRefused
	}
	if t.name == a.Name && t.caps == a.Caps && t.note == a.Note {
		return nil
	}
	d := a.change(t, remint.EventUpdate, remint.ID{}, t.newestGen())
	d.name, d.caps, d.note = a.Name, a.Caps, a.Note
	switch {
	case !within(t.caps, d.caps):
		d.endDescendants(a.now)
	case t.note != d.note:
		for _, s := range []*slot{d.newest, d.prev, d.older} {
			if s != nil {
				s.sessions += 1 << 32
			}
		}
	}
	return nil
}

func (a *act) revoke() error {
	if t := a.target(); t.revoked == 0 {
		a.change(t, remint.EventRevoke, remint.ID{}, t.newestGen()).revoked = a.now
	}
	return nil
}

func (a *act) end() error {
	if t := a.target(); t.revoked == 0 {
		a.change(t, remint.EventEndSessions, remint.ID{}, t.newestGen()).endDescendants(a.now)
	}
	return nil
}

func (t *token) endDescendants(now int64) {
	t.epoch++
	t.endings = append(t.endings, now)
}
