package httpapi

import (
	"strings"
	"sync"
)

const (
	// mostMemories bounds how many texts a memo holds, longestMemory how long each may be. Clients choose
	// the texts: what they can fill is 64 KiB for each operation.
	mostMemories  = 512
	longestMemory = 128
)

// memo remembers texts that have passed a check which depends on nothing but the text. It forgets all of
// them when it is full, so that who sends ever new ones takes nothing from the others for long.
type memo struct {
	mu    sync.RWMutex
	texts map[string]struct{}
}

func (m *memo) has(text string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.texts[text]
	return ok
}

func (m *memo) add(text string) {
	if len(text) > longestMemory {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.texts == nil || len(m.texts) >= mostMemories {
		m.texts = map[string]struct{}{}
	}
	m.texts[strings.Clone(text)] = struct{}{} // it is a part of a request line, which may be long
}
