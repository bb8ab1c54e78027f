package httpadapter

import (
	"encoding/json"
	"net/http"

	"github.com/remint-go/remint"
)

func (n native) startSession(c *call) error {
	id, bad := c.subject(false)
	if _, err := c.admit(); err != nil {
		return err
	}
	if bad == nil {
		bad = c.noCondition()
	}
	if bad != nil {
		return bad
	}
	body, err := c.nativeObject(true)
	if err != nil {
		return err
	}
	var f nativeForm
	how := f.session(body)
	if err := f.err(); err != nil {
		return err
	}
	grant, err := c.actor.StartSession(c.r.Context(), id, how)
	if err != nil {
		return rename(err, nativeNames(""))
	}
	return n.writeGrant(c, http.StatusCreated, grant)
}

// sessions lists those that were started below a token; its other children are among the
// tokens whose parent it is.
func (n native) sessions(c *call) error {
	id, err := c.subject(false)
	if err != nil {
		return c.refuse(err)
	}
	var f nativeForm
	v, err := f.query(c.r.URL.RawQuery, "limit", "after", "ended")
	if err != nil {
		return c.refuse(err)
	}
	limit := f.limit(v)
	q := remint.Query{Parent: id, After: f.cursor(v), Ended: f.flag(v, "ended")}
	if err := f.err(); err != nil {
		return c.refuse(err)
	}
	list, next, err := c.page(q, limit, remint.Token.IsSession)
	if err != nil {
		return err
	}
	return c.write(struct {
		Sessions []json.RawMessage `json:"sessions"`
		Next     string            `json:"next,omitempty"`
	}{list, next})
}

func (n native) endSessions(c *call) error {
	id, err := c.subject(false)
	if err == nil {
		err = c.noCondition()
	}
	if err != nil {
		return c.refuse(err)
	}
	if err := c.unread(); err != nil {
		return err
	}
	if err := c.actor.EndSessions(c.r.Context(), id); err != nil {
		return err
	}
	return c.writeEmpty(http.StatusNoContent)
}
