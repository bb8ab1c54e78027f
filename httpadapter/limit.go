package httpadapter

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/remint-go/remint"
)

// RateLimitAttribute is the attribute of a token ([remint.Spec.Attributes]) that says how many
// requests it may make in a clock minute: a whole number from 1 on. What a token issues has
// its attributes, and so a limit of its own, and so has a successor; the sessions of a token share
// one, beside the token's own.
const RateLimitAttribute = "rate_limit"

// A Limiter counts the requests of tokens. It is asked once a request, after the token was
// verified, so that nobody learns of limits, or uses them up, without a live token.
type Limiter interface {
	// Take counts one request of who may make limit requests in a clock minute (UTC), and
	// returns what is left. An error refuses the request as unavailable (503); one
	// that would rather let it through returns a Quota without Exceeded. It is called
	// by many goroutines, and must admit no more than limit of them in a minute.
	Take(ctx context.Context, who Counted, limit int) (Quota, error)
}

// Counted is whose requests are counted together: those of a token, or those of all its
// sessions. A session that was stolen uses up the sessions' limit, and not the token's own,
// with which its owner ends it.
type Counted struct {
	Token    remint.ID
	Sessions bool
}

// A Quota is what a token may still do in the minute that ends at Reset.
type Quota struct {
	Limit     int           // requests that are permitted in the minute
	Remaining int           // of them, after this one
	Reset     time.Time     // when the next minute begins
	Wait      time.Duration // until then
	Exceeded  bool          // the request was one too many
}

// seconds returns Wait in whole seconds, rounded up: at least 1.
func (q Quota) seconds() int { return int(max(1, math.Ceil(q.Wait.Seconds()))) }

// MemoryLimiter counts in this process: where several share a store, each admits the whole
// limit. The zero value is ready for use; it holds one number for each token that made a
// request in the present minute.
type MemoryLimiter struct {
	// Now reports the time. Nil: [time.Now]. It is not to be changed after the first request.
	Now func() time.Time

	mu     sync.Mutex
	minute int64 // since 1970
	taken  map[Counted]int
}

// Take implements [Limiter]. Requests that were one too many are not counted: a client that
// goes on asking is let in again when the minute is over.
func (l *MemoryLimiter) Take(_ context.Context, who Counted, limit int) (Quota, error) {
	now := l.now()
	minute := now.Unix() / 60

	l.mu.Lock()
	defer l.mu.Unlock()
	if minute > l.minute || minute < l.minute-1 || l.taken == nil {
		l.minute, l.taken = minute, make(map[Counted]int)
	} // a clock that was set back by a little does not begin the last minute again
	q := Quota{Limit: limit, Reset: time.Unix((l.minute+1)*60, 0).UTC()}
	q.Wait = q.Reset.Sub(now)
	n := l.taken[who]
	if n >= limit {
		q.Exceeded = true
		return q, nil
	}
	l.taken[who] = n + 1
	q.Remaining = limit - n - 1
	return q, nil
}

func (l *MemoryLimiter) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// A limitError is a request that was one too many.
type limitError struct{ quota Quota }

func (e *limitError) Error() string {
	return fmt.Sprintf("httpadapter: more than %d requests in a minute", e.quota.Limit)
}

// limitOf returns how many requests a token may make in a minute; 0 is any number.
func (a *Adapter) limitOf(tok remint.Token) (int, error) {
	text := tok.Attribute(RateLimitAttribute)
	if text == "" {
		return a.rateLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, serverFault{fmt.Errorf("httpadapter: token %s has the attribute %s %q: it must be a whole number from 1 on",
			tok.ID(), RateLimitAttribute, text)}
	}
	return n, nil
}

// count counts a request of tok, which was verified. Where tok has no limit, that of the
// Quota is 0. The error is a *limitError, or the Limiter's.
func (a *Adapter) count(ctx context.Context, tok remint.Token) (Quota, error) {
	limit, err := a.limitOf(tok)
	if err != nil || limit == 0 {
		return Quota{}, err
	}
	who := Counted{Token: tok.ID()}
	if tok.IsSession() {
		who = Counted{tok.Parent(), true} // else each session would be a limit more
	}
	q, err := a.limiter.Take(ctx, who, limit)
	switch {
	case err != nil && ctx.Err() != nil:
		return Quota{}, ctx.Err()
	case err != nil:
		return Quota{}, fmt.Errorf("%w: the limiter: %w", remint.ErrUnavailable, err)
	case q.Exceeded:
		return q, &limitError{q}
	}
	return q, nil
}

// rateLimitFields sets the fields RateLimit and RateLimit-Policy of
// draft-ietf-httpapi-ratelimit-headers-10, for answers of no particular format.
func rateLimitFields(h http.Header, q Quota) {
	if q.Limit == 0 {
		return
	}
	var b [96]byte
	text := append(b[:0], `"minute";q=`...)
	text = strconv.AppendInt(text, int64(q.Limit), 10)
	text = append(text, `;w=60`...)
	policy := len(text)
	text = append(text, `"minute";r=`...)
	text = strconv.AppendInt(text, int64(q.Remaining), 10)
	text = append(text, `;t=`...)
	text = strconv.AppendInt(text, int64(q.seconds()), 10)
	both := string(text) // one allocation, and one more for the two lists
	values := [...]string{both[:policy], both[policy:]}
	// In net/http's canonical form, as Header.Set would have it.
	h["Ratelimit-Policy"], h["Ratelimit"] = values[:1:1], values[1:]
}
