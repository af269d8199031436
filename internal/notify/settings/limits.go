package settings

// What a profile may hold. Everything an executor sets is read again for each thing it is told, and sent to
// receivers that have limits of their own, so it is bounded when it is set.
const (
	MaxChannels = 20 // of an executor
	MaxHooks    = 20 // of a moment

	maxURL      = 2048     // bytes; more than any of the services needs, and what proxies let through
	maxText     = 1024     // bytes of a token, a key or a name
	maxTemplate = 16 << 10 // bytes of a text with variables
	maxBody     = 64 << 10 // bytes of the body of a hook
	maxHeaders  = 20
	maxHeader   = 4 << 10 // bytes of a header's value; servers take 8 KiB of all of them
	maxLabels   = 50
	maxLabel    = 100 // bytes
	maxZone     = 64  // bytes; the longest name has 32
	// The key of a signature, by Standard Webhooks.
	minSecret, maxSecret = 24, 64 // bytes
)
