package exchange

// A thread is in two lists, the last updated first. Every update moves it to the front of both, in
// constant time, and needs no comparing because the time of events never goes back.
const (
	ofAll    = 0
	ofStatus = 1
)

// link is a place in a list: the numbers of the neighbours, 0 for none.
type link struct{ newer, older uint32 }

// ends is a list.
type ends struct{ newest, oldest uint32 }

// push puts a thread that is not in the list at its front.
func (t *table) push(e *ends, list int, number uint32) {
	t.slots.change(number).links[list] = link{older: e.newest}
	if e.newest != 0 {
		t.slots.change(e.newest).links[list].newer = number
	} else {
		e.oldest = number
	}
	e.newest = number
}

func (t *table) remove(e *ends, list int, number uint32) {
	at := t.slots.at(number).links[list]
	if at.newer != 0 {
		t.slots.change(at.newer).links[list].older = at.older
	} else {
		e.newest = at.older
	}
	if at.older != 0 {
		t.slots.change(at.older).links[list].newer = at.newer
	} else {
		e.oldest = at.newer
	}
}

// touch moves a thread to the front of its lists.
func (t *table) touch(number uint32) {
	if t.recent.newest == number {
		return // so it is the newest of its status too
	}
	t.remove(&t.recent, ofAll, number)
	t.push(&t.recent, ofAll, number)
	if t.byStatus[t.slots.at(number).status].newest != number {
		t.leaveStatus(number)
		t.enterStatus(number)
	}
}

func (t *table) enterStatus(number uint32) {
	status := t.slots.at(number).status
	e := t.byStatus[status]
	t.push(&e, ofStatus, number)
	t.byStatus[status] = e
}

func (t *table) leaveStatus(number uint32) {
	status := t.slots.at(number).status
	e := t.byStatus[status]
	t.remove(&e, ofStatus, number)
	t.byStatus[status] = e
}
