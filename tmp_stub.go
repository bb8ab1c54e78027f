package remint
const usedEvery = 3600e6
func (r *record) endsAt() int64 { return r.expires }
