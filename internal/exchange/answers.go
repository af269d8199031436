package exchange

import (
	"iter"
	"slices"
	"strings"
	"time"
)

// answer is how a keyed command was answered, as the rules use it.
type answer struct {
	executor string
	once     Once
	at       int64  // Unix milliseconds
	status   uint16 // of HTTP
	code     Code   // "" where it was no refusal
	sentence string // of a refusal
	result   Result
}

// answered returns how a command with the same key was answered within the last KeyLife.
func (s *State) answered(executor string, o Once, now time.Time) (*answer, bool) {
	oldest := now.Add(-KeyLife).UnixMilli()
	for ; s.base != nil; s = s.base {
		if a, ok := s.changed.answers[forkedKey{executor, o.key}]; ok {
			return &a, a.at > oldest
		}
	}
	t := s.table
	number, ok := t.answers.places[answerName{o.key, t.names.numbers[executor]}]
	if !ok {
		return nil, false
	}
	kept := t.answers.at(number)
	return t.answer(kept), kept.at > oldest
}

// keepAnswer adds one whose key is not in use.
func (s *State) keepAnswer(a *answer) {
	if s.base != nil {
		s.changed.keepAnswer(a)
		return
	}
	t := s.table
	var thread uint32
	if a.result.Ref != "" {
		thread, _ = t.find(a.result.Ref)
	}
	t.answers.add(keptAnswer{
		answerName: answerName{a.once.key, t.names.number(a.executor)}, request: a.once.request, at: a.at, thread: thread,
		threadStatus: t.names.number(a.result.Status), code: t.names.number(string(a.code)), status: a.status, sentence: strings.Clone(a.sentence),
	})
}

// forkedKey names an answer in a fork.
type forkedKey struct {
	executor string
	key      digest
}

func (o *overlay) keepAnswer(a *answer) {
	if o.answers == nil {
		o.answers = map[forkedKey]answer{}
	}
	o.answers[forkedKey{a.executor, a.once.key}] = *a
}

// answers are those of the last KeyLife, the oldest first, with those behind it that no event has made
// room of yet. Each takes 80 bytes, up to 90 more to be found by its key, and the sentence of a refusal.
//
// They are kept in chunks, of which nothing is ever changed: a frozen copy is a list of chunks. What was
// added later lies behind all that it sees, and a chunk is let go as a whole.
type answers struct {
	chunks [][]keptAnswer
	first  uint64 // number of the first of chunks[0]
	past   uint64 // number of the first that still counts
	places map[answerName]uint64
}

// answersChunk answers fill a size class of the allocator (256 × 80 bytes) to the last byte.
const answersChunk = 256

// answerName is a key of an executor.
type answerName struct {
	key      digest
	executor uint32 // the number of its name
}

// keptAnswer is an answer in a table. Only refusals have a pointer in it.
type keptAnswer struct {
	answerName
	request      digest
	at           int64
	thread       uint32 // the number of the thread, 0 for none
	threadStatus uint32 // names, as code
	code         uint32
	status       uint16
	sentence     string
}

// answer returns one as the rules use it.
func (t *table) answer(k *keptAnswer) *answer {
	name := t.names.list
	a := &answer{
		executor: name[k.executor], once: Once{k.key, k.request}, at: k.at, status: k.status,
		code: Code(name[k.code]), sentence: k.sentence, result: Result{Status: name[k.threadStatus]},
	}
	if k.thread != 0 {
		a.result.Ref = t.ref(k.thread)
	}
	return a
}

// end is the number behind that of the last.
func (x *answers) end() uint64 {
	if len(x.chunks) == 0 {
		return x.first
	}
	return x.first + uint64(len(x.chunks)-1)*answersChunk + uint64(len(x.chunks[len(x.chunks)-1]))
}

func (x *answers) at(number uint64) *keptAnswer {
	number -= x.first
	return &x.chunks[number/answersChunk][number%answersChunk]
}

func (x *answers) add(a keptAnswer) {
	last := len(x.chunks) - 1
	switch {
	case last < 0: // most exchanges are small, so the first one grows
		x.chunks = append(x.chunks, nil)
		last++
	case len(x.chunks[last]) == answersChunk:
		x.chunks = append(x.chunks, make([]keptAnswer, 0, answersChunk))
		last++
	}
	if x.places == nil {
		x.places = map[answerName]uint64{}
	}
	x.places[a.answerName] = x.end()
	x.chunks[last] = append(x.chunks[last], a)
}

// forget lets go of what is older than KeyLife at the time of an event. It costs what it lets go.
func (x *answers) forget(now time.Time) {
	oldest := now.Add(-KeyLife).UnixMilli()
	end := x.end()
	for ; x.past < end; x.past++ {
		a := x.at(x.past)
		if a.at > oldest {
			return
		}
		delete(x.places, a.answerName)
		if x.past-x.first == answersChunk-1 {
			x.chunks[0] = nil // the list keeps its room
			x.chunks, x.first = x.chunks[1:], x.past+1
		}
	}
	if len(x.places) == 0 && x.past > x.first { // neither a map nor a list shrinks by itself
		*x = answers{first: end, past: end}
	}
}

// each yields those that still count, the oldest first.
func (x *answers) each() iter.Seq[*keptAnswer] {
	return func(yield func(*keptAnswer) bool) {
		for number, end := x.past, x.end(); number < end; number++ {
			if !yield(x.at(number)) {
				return
			}
		}
	}
}

// freeze returns a copy for reading, without the way to find one.
func (x *answers) freeze() answers {
	return answers{chunks: slices.Clone(x.chunks), first: x.first, past: x.past}
}
