package exchange

// node is a thread's place in the lists of its state: in the list of all and in that of its status.
type node struct {
	thread   *Thread
	all      link
	byStatus link
}

type link struct{ newer, older *node }

// order is a list of nodes, the last updated first. Every update moves a thread to the front of the
// lists it is in, in constant time, and needs no comparing because the time of events never goes back.
type order struct {
	newest *node
	links  func(*node) *link
}

func allLinks(n *node) *link    { return &n.all }
func statusLinks(n *node) *link { return &n.byStatus }

func (o *order) pushFront(n *node) {
	*o.links(n) = link{older: o.newest}
	if o.newest != nil {
		o.links(o.newest).newer = n
	}
	o.newest = n
}

func (o *order) remove(n *node) {
	at := o.links(n)
	if at.newer != nil {
		o.links(at.newer).older = at.older
	} else {
		o.newest = at.older
	}
	if at.older != nil {
		o.links(at.older).newer = at.newer
	}
	*at = link{}
}
