package hook

import "github.com/mess-exchange/mess-exchange/internal/notify"

// createIssue asks for the identifier that people know an issue by.
const createIssue = `mutation CreateIssue($title: String!, $description: String, $teamId: String!) { issueCreate(input: {title: $title, description: $description, teamId: $teamId}) { success issue { id identifier url } } }`

// linear opens an issue. A personal API key stands in the header by itself, without Bearer.
func linear(b *builder) notify.Request {
	type issue struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Team        string `json:"teamId"`
	}
	query := struct {
		Query     string `json:"query"`
		Variables issue  `json:"variables"`
	}{createIssue, issue{
		Title:       b.text("title", "MESS: {{intent}}"),
		Description: b.text("description", "Ref: {{ref}}\nPriority: {{priority}}"),
		Team:        b.hook.Text["team_id"],
	}}
	r := post(b.services.Linear, defaults.Linear, "/graphql", query)
	r.Header["Authorization"] = b.hook.Text["token"]
	return r
}
