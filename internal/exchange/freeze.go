package exchange

// Frozen is a state as it was at one moment, to be encoded.
type Frozen struct {
	table    *table
	register register
	readOnly string
}

// Freeze returns s, which is no fork, as it is now. Later changes of s don't show in it, and it may be
// used beside them. Nothing else but readers may use s meanwhile, and they no Freeze of their own. The
// cost hardly depends on the number of threads: s shares its pages with what is returned, and from then
// on copies each before changing it for the first time.
func (s *State) Freeze() *Frozen {
	s.register.shared = true
	return &Frozen{table: s.table.freeze(), register: s.register, readOnly: s.readOnly}
}
