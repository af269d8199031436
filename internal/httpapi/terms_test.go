package httpapi

import (
	"testing"
	"time"
)

// Ensure that what a request asks for gets through to the rules, and that each of their refusals has its
// status and its word.
func TestWhatRequestsAskFor(t *testing.T) {
	s := newSite(t)
	home := s.at("home")
	agent, phone, tablet := home.register("agent"), home.register("phone"), home.register("tablet")
	phone.want(200, "PATCH", "/executors/phone", `{"capabilities":["photo:capture"]}`)
	refused := func(c client, status int, code, ref, body string) {
		t.Helper()
		if got := c.want(status, "PATCH", "/requests/"+ref, body).text(t, "code"); got != code {
			t.Errorf("%s: got %s, want %s", body, got, code)
		}
	}
	const claim = `{"status":"claimed"}`
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)

	able := agent.create(`{"intent":"x","requires":["photo:capture",{"photo:capture":{"min_px":100}}],"needed_by":"` + tomorrow + `"}`)
	refused(tablet, 403, "missing_capability", able, claim)
	phone.want(200, "PATCH", "/requests/"+able, claim)
	refused(tablet, 409, "already_claimed", able, claim)
	phone.want(200, "PATCH", "/requests/"+able, `{"status":"delegated","mess":[{"status":{"code":"delegated","delegated_to":"tablet"}}]}`)
	refused(phone, 403, "reserved", able, claim)

	later := agent.create(`{"intent":"x","constraints":{"timing":{"not_before":"` + tomorrow + `"}}}`)
	refused(phone, 409, "too_early", later, claim)
	after := agent.create(`{"intent":"x","constraints":{"depends_on":["` + later + `"]}}`)
	refused(phone, 409, "dependency_open", after, claim)

	asked := agent.create(`{"intent":"x","confirm_before":true}`)
	refused(phone, 409, "unconfirmed", asked, `{"status":"completed"}`)
	phone.want(200, "PATCH", "/requests/"+asked, `{"status":"needs-confirmation"}`)
	if got := agent.want(200, "PATCH", "/requests/"+asked, `{"mess":[{"reply":{"confirm":true}}]}`).text(t, "status"); got != "claimed" {
		t.Errorf("after the reply it is %s", got)
	}
	phone.want(200, "PATCH", "/requests/"+asked, `{"status":"completed"}`)
	refused(phone, 409, "thread_closed", asked, claim)

	for _, body := range []string{
		`{"intent":"x","needed_by":"2020-02-01T22:00:00Z"}`, `{"intent":"x","needed_by":"2099-02-01T22:00:00"}`, `{"intent":"x","needed_by":"soon"}`,
		`{"intent":"x","constraints":{"timing":{"expires":"2020-02-01T22:00:00Z"}}}`, `{"intent":"x","constraints":{"depends_on":["2026-02-01-NONE"]}}`,
		`{"intent":"x","requires":[{}]}`, `{"intent":"x","requires":"photo:capture"}`, `{"intent":"x","confirm_before":"yes"}`, `{"intent":"x","constraints":7}`,
	} {
		if got := agent.want(400, "POST", "/requests", body).text(t, "code"); got != "invalid" {
			t.Errorf("%s: %s", body, got)
		}
	}
	agent.create(`{"intent":"x","requires":"","needed_by":"","confirm_before":0,"constraints":null}`)
}
