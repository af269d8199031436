package exchange

import "encoding/json"

// spoken is what the blocks of a message say about the thread's status.
type spoken struct {
	status      string // canonical; "" for nothing
	message     string // the note in the status block
	delegatedTo string // in the status block, where that says delegated
	ifDenied    string // in the status block, where that says needs_confirmation: the status after a no
	cancel      bool   // there is a cancel block, which counts where the requestor sends it
	reply       bool   // there is a reply block, which counts where the requestor sends it
	confirm     string // "true" or "false" where a reply says so
}

// readBlocks reads the status, cancel and reply blocks of a message to the thread ref. It looks at
// nothing else: other types of block, known or not, are kept as they are. Two blocks that say different
// things are refused, and so is one that speaks of another thread of the exchange.
func readBlocks(s *State, ref string, mess []json.RawMessage) (spoken, *Error) {
	var all spoken
	for i, block := range mess {
		b := members(block)
		for _, name := range [...]string{"cancel", "reply", "status"} {
			if !given(b[name]) {
				continue
			}
			if refusal := all.read(i, name, b[name]); refusal != nil {
				return spoken{}, refusal
			}
			if refusal := sameThread(s, ref, i, name, members(b[name])); refusal != nil {
				return spoken{}, refusal
			}
		}
	}
	return all, nil
}

// read adds what a block says.
func (all *spoken) read(i int, name string, content json.RawMessage) *Error {
	block := members(content)
	switch name {
	case "cancel":
		all.cancel = true
	case "reply":
		all.reply = true
		return all.readReply(i, block)
	case "status":
		return all.readStatus(i, block)
	}
	return nil
}

func (all *spoken) readReply(i int, block map[string]json.RawMessage) *Error {
	confirm := string(block["confirm"])
	switch {
	case confirm == "" || confirm == "null":
	case confirm != "true" && confirm != "false":
		return refuse(CodeInvalid, "mess[%d].reply.confirm: must be true or false", i)
	case all.confirm != "" && all.confirm != confirm:
		return refuse(CodeInvalid, "mess[%d].reply.confirm: %s, but another reply block says %s", i, confirm, all.confirm)
	default:
		all.confirm = confirm
	}
	return nil
}

func (all *spoken) readStatus(i int, block map[string]json.RawMessage) *Error {
	var code string
	if json.Unmarshal(block["code"], &code) != nil || setterOf(canonical(code)) == unknownStatus {
		return refuse(CodeInvalid, "mess[%d].status.code: must be one of %s", i, settable())
	}
	status := canonical(code)
	if all.status != "" && all.status != status {
		return refuse(CodeInvalid, "mess[%d].status.code: %s, but another status block says %s", i, status, all.status)
	}
	all.status = status
	if all.message == "" {
		all.message = text(block["message"])
	}
	if to := block["delegated_to"]; status == Delegated && given(to) {
		var id string
		if json.Unmarshal(to, &id) != nil {
			return refuse(CodeInvalid, "mess[%d].status.delegated_to: must be the id of an executor", i)
		}
		all.delegatedTo = id
	}
	if after := block["if_denied"]; status == StatusNeedsConfirmation && given(after) {
		all.ifDenied = canonical(text(after))
		if all.ifDenied != StatusHeld && all.ifDenied != StatusCancelled {
			return refuse(CodeInvalid, "mess[%d].status.if_denied: must be %s or %s", i, StatusHeld, StatusCancelled)
		}
	}
	return nil
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
