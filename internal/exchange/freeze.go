package exchange

// Frozen is a state as it was at one moment, to be encoded.
type Frozen struct {
	table    *table
	register register
	readOnly string
}

// Freeze returns s, which is no fork, as it is now. Later changes of s don't show in it, and it may be
// used beside them. The cost hardly depends on the number of threads: it shares all pages with s, which
// from then on copies each before changing it for the first time.
func (s *State) Freeze() *Frozen {
	s.register.shared = true
	return &Frozen{table: s.table.freeze(), register: s.register, readOnly: s.readOnly}
}
