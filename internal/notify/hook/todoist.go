package hook

import "github.com/mess-exchange/mess-exchange/internal/notify"

// todoist opens a task. The API is v1, which took the place of the one that the original server called.
func todoist(b *builder) notify.Request {
	task := struct {
		Content     string   `json:"content"`
		Description string   `json:"description"`
		Priority    int      `json:"priority"`
		Labels      []string `json:"labels"`
		Project     string   `json:"project_id,omitempty"`
		Due         string   `json:"due_string,omitempty"`
	}{
		Content:     b.text("content", "MESS: {{intent}}"),
		Description: b.text("description", "Ref: {{ref}}"),
		Priority:    max(1, b.hook.Priorities[b.firing.Occasion.Thread.Priority]),
		Labels:      append([]string{}, b.hook.Labels...), // a list, never null
		Project:     b.hook.Text["project_id"],
		Due:         b.text("due_string", ""),
	}
	r := post(b.services.Todoist, defaults.Todoist, "/api/v1/tasks", task)
	r.Header["Authorization"] = "Bearer " + b.hook.Text["token"]
	r.Header["X-Request-Id"] = b.firing.ID // the same task for the same id
	return r
}
