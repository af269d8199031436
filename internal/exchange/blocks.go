package exchange

import "encoding/json"

// spoken is what the blocks of a message say about the thread's status.
type spoken struct {
	status  string // canonical; "" for nothing
	message string // the note in the status block
	cancel  bool   // there is a cancel block, which counts where the requestor sends it
}

// readBlocks reads the status and cancel blocks of a message to the thread ref. It looks at nothing
// else: other types of block, known or not, are kept as they are. Two blocks that say different things
// are refused, and so is one that speaks of another thread of the exchange.
func readBlocks(s *State, ref string, mess []json.RawMessage) (spoken, *Error) {
	var all spoken
	for i, block := range mess {
		b := members(block)
		if given(b["cancel"]) {
			if refusal := sameThread(s, ref, i, "cancel", members(b["cancel"])); refusal != nil {
				return spoken{}, refusal
			}
			all.cancel = true
		}
		if !given(b["status"]) {
			continue
		}
		one, refusal := readStatus(s, ref, i, members(b["status"]))
		if refusal != nil {
			return spoken{}, refusal
		}
		if all.status != "" && all.status != one.status {
			return spoken{}, refuse(CodeInvalid, "mess[%d].status.code: %s, but another status block says %s", i, one.status, all.status)
		}
		if all.message == "" {
			all.message = one.message
		}
		all.status = one.status
	}
	return all, nil
}

func readStatus(s *State, ref string, i int, block map[string]json.RawMessage) (spoken, *Error) {
	var code string
	if json.Unmarshal(block["code"], &code) != nil || setterOf(canonical(code)) == unknownStatus {
		return spoken{}, refuse(CodeInvalid, "mess[%d].status.code: must be one of %s", i, settable())
	}
	if refusal := sameThread(s, ref, i, "status", block); refusal != nil {
		return spoken{}, refusal
	}
	return spoken{status: canonical(code), message: text(block["message"])}, nil
}

// sameThread refuses a block whose re is the ref of another thread. Any other re passes: it may be an
// id that the client gave, a message's ref, or the word last.
func sameThread(s *State, ref string, i int, name string, block map[string]json.RawMessage) *Error {
	re := text(block["re"])
	if re == ref {
		return nil
	}
	if _, another := s.Thread(re); another {
		return refuse(CodeInvalid, "mess[%d].%s.re: names another thread than %s", i, name, ref)
	}
	return nil
}

// statusBlock is what stands in front of a message that came with a status.
type statusBlock struct {
	Status struct {
		Re      string `json:"re"`
		Code    string `json:"code"`
		Message string `json:"message,omitempty"`
	} `json:"status"`
}
