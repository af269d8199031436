//go:build !js

package engine

// What takes memory, which a Worker (memory_js.go) has less of.
const (
	// maxReading bounds the bytes of messages that are read from the log for calls in progress, those of calls
	// for up to freeReading not counted. A thread longer than that is read alone.
	maxReading = 256 << 20

	// maxTelling is how many attempts an exchange has under way, and maxTellingAll all exchanges together; beyond it
	// events wait in their outbox. So receivers that hang cost no more memory than this, at some kilobytes each, and no
	// more processor time however much is posted. It leaves the sender room for tests of channels.
	maxTelling    = 2048
	maxTellingAll = 8192

	// maxCachedSettings and maxCachedBytes bound what is kept of profiles. What is left out is read again, for each
	// event that its executor is told.
	maxCachedSettings = 1 << 14
	maxCachedBytes    = 64 << 20
	// maxTokens bounds how many access tokens are kept, at some kilobytes each.
	maxTokens = 1 << 12
)
