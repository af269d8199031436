package exchange

import "slices"

// mostUnsorted is up to how many capabilities of an executor are looked through one by one.
const mostUnsorted = 16

// sortCapabilities makes has quick for an executor with many capabilities. It is called before e is handed out.
func (e *Executor) sortCapabilities() {
	e.sorted = nil
	if len(e.Capabilities) > mostUnsorted {
		e.sorted = slices.Clone(e.Capabilities)
		slices.Sort(e.sorted)
	}
}

// has reports whether the executor has a capability. It costs the logarithm of how many it has.
func (e *Executor) has(capability string) bool {
	if e.sorted != nil {
		_, found := slices.BinarySearch(e.sorted, capability)
		return found
	}
	return slices.Contains(e.Capabilities, capability)
}

// hasAll reports whether the executor has all these capabilities.
func (e *Executor) hasAll(capabilities []string) bool {
	for _, c := range capabilities {
		if !e.has(c) {
			return false
		}
	}
	return true
}

// eachCapability yields each capability once, until yield returns false; it reports whether it never did.
func (e *Executor) eachCapability(yield func(string) bool) bool {
	all := e.sorted
	if all == nil {
		all = sorted(e.Capabilities)
	}
	for i, c := range all {
		if (i == 0 || c != all[i-1]) && !yield(c) {
			return false
		}
	}
	return true
}
