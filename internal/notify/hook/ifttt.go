package hook

import "github.com/mess-exchange/mess-exchange/internal/notify"

// ifttt triggers an event of one's own, which has three values.
func ifttt(b *builder) notify.Request {
	values := struct {
		Value1 string `json:"value1"`
		Value2 string `json:"value2"`
		Value3 string `json:"value3"`
	}{b.text("value1", "{{intent}}"), b.text("value2", "{{ref}}"), b.text("value3", "{{priority}}")}
	path := "/trigger/" + segment(b.hook.Or("event", "mess_request")) + "/with/key/" + segment(b.hook.Text["key"])
	return post(b.services.IFTTT, defaults.IFTTT, path, values)
}
