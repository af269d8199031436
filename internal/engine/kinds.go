package engine

import (
	"encoding/json"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// kinds are the kinds of notification that settings may have, for the event that announces them: so the rules know of
// whom there is nothing to tell. A channel that this version does not understand counts, since another may.
func kinds(settings map[string]json.RawMessage) *[]string {
	all := []string{}
	if hasItems(settings["notifications"]) {
		all = append(all, exchange.NotifyChannels)
	}
	var hooks map[string]json.RawMessage
	if json.Unmarshal(settings["hooks"], &hooks) == nil {
		for _, list := range hooks {
			if hasItems(list) {
				all = append(all, exchange.NotifyHooks)
				break
			}
		}
	}
	return &all
}

func hasItems(value json.RawMessage) bool {
	var list []json.RawMessage
	return json.Unmarshal(value, &list) == nil && len(list) > 0
}
