package exchange

import "fmt"

// Code is the stable, machine-readable word of a refusal; it stands in the "code" field of error
// answers. The HTTP status of each is in one table, in httpapi.
type Code string

// The codes of every refusal a client can meet, on any way in.
const (
	CodeInvalid            Code = "invalid"                // a field is missing, wrongly typed or not allowed
	CodeUnauthorized       Code = "unauthorized"           // no key, or none that is known
	CodeWrongExchange      Code = "wrong_exchange"         // a valid key of another exchange
	CodeNotYourProfile     Code = "not_your_profile"       // another executor's profile
	CodeForbidden          Code = "forbidden"              // the state machine lets others do this, not the caller
	CodeThreadNotFound     Code = "thread_not_found"       //
	CodeExecutorNotFound   Code = "executor_not_found"     //
	CodeAttachmentNotFound Code = "attachment_not_found"   //
	CodeNotFound           Code = "not_found"              // an unknown path
	CodeMethodNotAllowed   Code = "method_not_allowed"     //
	CodeUnsupportedMedia   Code = "unsupported_media"      // a body that is not sent as JSON
	CodeRange              Code = "range_not_satisfiable"  // a part of an attachment that lies behind its end
	CodeTooLarge           Code = "too_large"              // the body, or what it becomes in the log
	CodeRateLimited        Code = "rate_limited"           // too many of its kind from one address
	CodeAlreadyRegistered  Code = "already_registered"     // the executor id is taken
	CodeNameTaken          Code = "name_taken"             // the same name in another case exists
	CodeThreadExists       Code = "thread_exists"          // an imported thread is here already
	CodeAlreadyClaimed     Code = "already_claimed"        // someone else holds the thread
	CodeThreadClosed       Code = "thread_closed"          // a terminal thread takes no further status
	CodeReserved           Code = "reserved"               // the thread was delegated to another executor
	CodeMissingCapability  Code = "missing_capability"     // the thread requires what the caller can't do
	CodeTooEarly           Code = "too_early"              // the thread's not_before has not come
	CodeDependencyOpen     Code = "dependency_open"        // a thread that this one depends on is not completed
	CodeUnconfirmed        Code = "unconfirmed"            // confirm_before: the requestor has not confirmed
	CodeKeyReused          Code = "idempotency_key_reused" // an Idempotency-Key that came with another request before
	CodeOverloaded         Code = "overloaded"             // too much is queued; nothing was stored
	CodeUnavailable        Code = "storage_unavailable"    // nothing was stored
	CodeOutcomeUnknown     Code = "outcome_unknown"        // may or may not have been stored
	CodeNotReady           Code = "not_ready"              // the server has started and can't serve everything yet
	CodeReadOnly           Code = "read_only"              // the log holds what this version does not know
	CodeTimeout            Code = "timeout"                // the body did not arrive in time
	CodeInternal           Code = "internal"               //
)

// Error is a refusal: Message is a sentence for the client that says what to change. Err, where set,
// is for the server's log only.
type Error struct {
	Code    Code
	Message string
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }
