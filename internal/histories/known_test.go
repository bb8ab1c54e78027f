package histories

// What package remint does, and should not: each of these shall become false, and go.
const (
	// A bearer is judged by an earlier time than its target, if that was changed after the
	// operation began: so it may do something after its own end.
	callersAreJudgedEarlier = true
	// So may a token be accepted whose record was changed after its end.
	verifiesAreJudgedEarlier = true
	// A rotation is a conflict where nothing came in between but a lapse, which some other change
	// has written down.
	lapsesAreConflicts = true
	// What a bearer reads, and what it is refused, may rest on records of different moments, as no
	// commit has guarded them: somebody who was revoked may see what came after.
	readsAreTorn = true
)

// judgedEarlier returns the ways in which m may go because of callersAreJudgedEarlier.
func (m *move) judgedEarlier() (all []*move) {
	if !callersAreJudgedEarlier || m.t != m.from.record(m.c.target).changed {
		return nil
	}
	for _, t := range m.c.times {
		if t >= m.t {
			break
		}
		all = append(all, m.or().asBearer(t)...)

		// Its first use of a secret that has lapsed since writes down that it has.
		got, lapsed := m.from.judge(m.c, t), m.or()
		was, is := m.from.record(m.c.owner), lapsed.record(m.c.owner)
		if got != dead && was.newest.by == m.c.secret && is.newest.by != m.c.secret {
			lapsed.touch(is)
			all = append(all, lapsed.actAs(got, t)...)
		}
	}
	return all
}
