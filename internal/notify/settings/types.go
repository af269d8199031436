package settings

// kind is what the value of a member must be.
type kind int

const (
	text      kind = iota // a token, a key, a name: taken as it is
	topic                 // of ntfy
	webURL                // an http or https URL
	urlOfHook             // the same, with variables behind the host
	templated             // a text with variables
	secret                // the key of a signature
	method                // of HTTP
	action                // of google_tasks
	headers               // an object of templates
	body                  // any JSON, with variables in its texts
	labels                // a list of texts
	numbers               // an object of a number for each priority
)

// member is one that a type of channel or hook knows. Others may stand beside it and mean nothing.
type member struct {
	name     string
	kind     kind
	required bool
}

// typ is a type of channel or hook.
type typ struct {
	name    string
	members []member
	// oneOf are sets of members of which one must be there as a whole.
	oneOf [][]string
}

var channels = []typ{
	{name: "ntfy", members: []member{{"topic", topic, true}, {"server", webURL, false}, {"token", text, false}}},
	{name: "slack", members: []member{{"webhook_url", webURL, true}}},
	{name: "google_chat", members: []member{{"webhook_url", webURL, true}}},
	// previous_secret signs too, while a receiver changes from it to secret.
	{name: "webhook", members: []member{{"url", webURL, true}, {"secret", secret, false}, {"previous_secret", secret, false}}},
}

var hookTypes = []typ{
	{name: "webhook", members: []member{{"url", urlOfHook, true}, {"method", method, false}, {"headers", headers, false}, {"body", body, false}}},
	{name: "ifttt", members: []member{
		{"key", text, true}, {"event", text, false}, {"value1", templated, false}, {"value2", templated, false}, {"value3", templated, false},
	}},
	{name: "zapier", members: []member{{"webhook_url", webURL, true}, {"body", body, false}}},
	{
		name: "home_assistant",
		members: []member{
			{"url", webURL, false}, {"base_url", webURL, false}, {"webhook_id", text, false}, {"token", text, false}, {"body", body, false},
		},
		oneOf: [][]string{{"url"}, {"base_url", "webhook_id"}},
	},
	{name: "todoist", members: []member{
		{"token", text, true}, {"content", templated, false}, {"description", templated, false}, {"due_string", templated, false},
		{"project_id", text, false}, {"labels", labels, false}, {"priority_map", numbers, false},
	}},
	{name: "linear", members: []member{{"token", text, true}, {"team_id", text, true}, {"title", templated, false}, {"description", templated, false}}},
	{name: "google_tasks", members: []member{
		{"client_id", text, true}, {"client_secret", text, true}, {"refresh_token", text, true}, {"tasklist", text, false}, {"action", action, false},
		{"title", templated, false}, {"notes", templated, false}, {"due", templated, false}, {"task_id", templated, false},
	}},
}
