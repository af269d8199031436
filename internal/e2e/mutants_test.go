//go:build e2e

package e2e

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var tortureMutants = flag.Bool("torture.mutants", false, "TestMutants runs all mutants, which takes minutes, not the first alone")

// mutants are servers with one rule of docs/storage.md broken. Each stands for a mistake that is easy
// to make and that ordinary tests, without faults or without others who look, don't see.
var mutants = []struct {
	name   string
	file   string
	edits  []string // old, new, old, new …
	focus  weather  // the only fault, for one that needs much of it
	folder bool     // to be caught on a folder, not on S3
}{
	{name: "reads don't check the head", file: "eventlog/follow.go",
		edits: []string{"err != nil || !l.store.Shared() {", "err != nil || l.store.Shared() {"}},
	{name: "a reader joins a check that began before it came", file: "eventlog/follow.go",
		edits: []string{"	c := l.waiting\n	l.mu.Unlock()", "	c := l.running\n	l.mu.Unlock()"}},
	{name: "refusals are answered from local state", file: "eventlog/submit.go",
		edits: []string{"	if !l.store.Shared() {\n		return nil", "	if l.store.Shared() {\n		return nil"}},
	{name: "a 412 means lost", file: "eventlog/commit.go", focus: lossy,
		edits: []string{"		case l.store.Fatal(err):", `		case l.store.Exists(err):
			if o, rerr := read(l.ctx, l.store, l.exchange, d.object.place, readTimeout); rerr == nil && l.meet(o) == nil {
				return errLost
			}
			return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
		case l.store.Fatal(err):`}},
	{name: "an unknown outcome is called not stored", file: "eventlog/commit.go", focus: deaf,
		edits: []string{`return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)`, `return fmt.Errorf("%w: %w", ErrUnavailable, err)`}},
	{name: "any error at the next position means that it is free", file: "eventlog/follow.go",
		edits: []string{"free := errors.Is(err, errAbsent)", "free := err != nil && !errors.Is(err, errCorrupt)"}},
	{name: "a create overwrites what is there", file: "eventlog/schema.go",
		edits: []string{"IfNotExist:                  true", "IfNotExist:                  false"}},
	{name: "a lost update: after a lost race the old decision is written at the next position", file: "eventlog/commit.go",
		edits: []string{
			"l.encode(p.cmd.Decide(state, now), d, now)", "l.encode(once(p, state, now), d, now)",
			"// close turns the decision", `var decided = map[*pending][]Draft{}

func once(p *pending, state Tentative, now time.Time) []Draft {
	guard.Lock()
	defer guard.Unlock()
	if len(decided[p]) == 0 {
		decided[p] = p.cmd.Decide(state, now)
	}
	return decided[p]
}

// close turns the decision`,
			`import (`, "import (\n	\"sync\"", "// errLost:", "var guard sync.Mutex\n\n// errLost:",
		}},
	{name: "a key is forgotten", file: "exchange/once.go",
		edits: []string{"s.answered(executor, o, now); ok {", "s.answered(executor, o, now); ok && before == nil {"}},
	{name: "a key is answered from memory", file: "exchange/once.go", focus: cut,
		edits: []string{
			"	drafts, refusal := decide()\n", `	name := memory{executor, o}
	if known, ok := remembered.Load(name); ok {
		*result = known.(Result)
		return nil, nil
	}
	drafts, refusal := decide()
	if refusal == nil {
		remembered.Store(name, *result)
	}
`,
			"// once decides a command", `var remembered sync.Map

type memory struct {
	executor string
	once     Once
}

// once decides a command`,
			`	"strings"`, "	\"strings\"\n	\"sync\"",
		}},
	{name: "answers leave before their commit is durable", file: "eventlog/submit.go", edits: early},
	{name: "answers leave before their commit is durable, on a folder", file: "eventlog/submit.go", edits: early, folder: true},
}

// early answers a batch as soon as it is decided.
var early = []string{"		err := l.carryOut(d)", `		for _, p := range d.decided {
			p.result <- nil
			p.result = make(chan error, 1)
		}
		err := l.carryOut(d)`}

// TestMutants: the torture finds each broken server, or it would prove nothing about the whole one.
func TestMutants(t *testing.T) {
	run := mutants[:1]
	if *tortureMutants {
		run = mutants
	}
	whole := binary
	defer func() { binary = whole }()
	for _, m := range run {
		t.Run(m.name, func(t *testing.T) {
			binary = mutate(t, m.file, m.edits)
			calls := 0
			for seed := uint64(1); seed <= 5; seed++ { // longer each time: 5, 10 … 80 s
				start := func() (*torture, storage) { return tortureS3(t, seed) }
				if m.folder {
					start = func() (*torture, storage) { return tortureFolder(t) }
				}
				x, _ := start()
				x.faults.focus = m.focus
				calls += x.run(t, seed, 5*time.Second<<(seed-1), 500).calls
				if violations := x.record.check(t.TempDir()); len(violations) > 0 {
					t.Logf("caught within %d calls: %d answers that nothing excuses, %d histories without an order; the last: %.900s",
						calls, len(x.record.wrong), len(violations)-len(x.record.wrong), violations[len(violations)-1])
					return
				}
			}
			t.Errorf("not caught in %d calls", calls)
		})
	}
}

// TestMutantsApply: each mutant is still a change of the code as it is, also of those that a short run does
// not try.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
		edited(t, m.file, m.edits)
	}
}

// edited returns a source file and what it is after the edits.
func edited(t *testing.T, file string, edits []string) (path, broken string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(repository, "internal", file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken = string(source)
	for i := 0; i < len(edits); i += 2 {
		if n := strings.Count(broken, edits[i]); n != 1 {
			t.Fatalf("%s holds %q %d times, want once: the mutant must follow the code", file, edits[i], n)
		}
		broken = strings.Replace(broken, edits[i], edits[i+1], 1)
	}
	return path, broken
}

// mutate builds the program with one file changed. The tree stays as it is.
func mutate(t *testing.T, file string, edits []string) (program string) {
	t.Helper()
	path, broken := edited(t, file, edits)
	folder := t.TempDir()
	changed, overlay := filepath.Join(folder, "changed.go"), filepath.Join(folder, "overlay.json")
	mapping, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: []byte(broken), overlay: mapping} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(folder, "mess-exchange")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-overlay", overlay, "-o", program, "./cmd/mess-exchange")
	build.Dir = repository
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the mutant: %v\n%s", err, out)
	}
	return program
}
