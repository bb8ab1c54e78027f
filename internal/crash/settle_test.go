package crash

// How secrets leave their slots.

// settle lets what has lapsed or stopped leave its slot.
func (t *token) settle(now int64) {
	if t.lapsed(now) && t.prev != nil {
		t.dropNewest()
	}
	for _, s := range []**slot{&t.prev, &t.older, &t.newest} {
		if *s != nil && over((*s).until, now) {
			t.retire(s, (*s).until)
		}
	}
}

func (t *token) dropNewest() {
	t.newest, t.prev, t.older = t.prev, t.older, nil
	t.firstUse, t.grace, t.lapseAt = false, 0, 0
}

func (t *token) retire(s **slot, at int64) {
	if x := *s; x != nil {
		*s = nil
		t.remember(x, at)
	}
}

// remember keeps the newest eight secrets that stopped, if they were used.
func (t *token) remember(s *slot, at int64) {
	if !s.confirmed {
		return
	}
	t.retired = append(t.retired, retired{gen: s.gen, at: at})
	t.retired = t.retired[max(0, len(t.retired)-8):]
	for len(t.retired) > 0 && t.retired[0].at < at-retention.Microseconds() {
		t.retired = t.retired[1:]
	}
}

func (t *token) retireWhole(now, at int64) {
	t.retire(&t.prev, now)
	t.retire(&t.older, now)
	if at > now {
		t.until = earliest(t.until, at)
	} else if t.stopped == 0 && !over(t.until, now) {
		t.stopped = now
	}
}
