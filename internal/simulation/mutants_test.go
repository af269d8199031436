package simulation

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	mutantSeeds = flag.Int("simulation.mutants", 0, "how many seeds TestMutants plays at most against each mutant; 0: a few, and against the first one only")
	mutantName  = flag.String("simulation.mutant", "", "a regular expression: TestMutants plays only those mutants whose name it matches")
)

// TestMutants: the simulation finds each broken log, or it would prove nothing about the whole one.
func TestMutants(t *testing.T) {
	name := regexp.MustCompile(*mutantName)
	chosen := slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !name.MatchString(m.name) })
	most := *mutantSeeds
	if most == 0 {
		chosen, most = chosen[:1], atOnce
	}
	var table []string
	for _, m := range chosen {
		t.Run(m.name, func(t *testing.T) {
			program := m.build(t)
			var caught []int
			played := 0
			for played < most && len(caught) < enough {
				n := min(atOnce, most-played)
				caught = append(caught, m.play(t, program, played+1, n)...)
				played += n
			}
			row := fmt.Sprintf("| %s | %d | %d |", m.name, played, len(caught))
			if len(caught) == 0 {
				t.Errorf("not caught by %d seeds", played)
			} else {
				row += fmt.Sprintf(" %d |", caught[0])
			}
			table = append(table, row)
			t.Log(row)
		})
	}
	t.Logf("\n| mutation | seeds | caught by | first |\n|---|---|---|---|\n%s", strings.Join(table, "\n"))
}

const (
	atOnce = 20 // seeds
	enough = 5  // seeds that have caught a mutant: more would say nothing new
)

var failedSeed = regexp.MustCompile(`--- FAIL: \S*seed=(\d+)`)

// play lets a mutant's test binary play seeds and returns those that caught it.
func (m mutant) play(t *testing.T, program string, from, n int) []int {
	t.Helper()
	cmd := exec.Command(program, "-test.run", "^TestSimulation$", "-test.timeout", "0", "-simulation.seeds", strconv.Itoa(n),
		"-simulation.from", strconv.Itoa(from), "-simulation.all", "-simulation.patience", "90s")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var caught []int
	for _, match := range failedSeed.FindAllSubmatch(out, -1) {
		seed, err := strconv.Atoi(string(match[1]))
		if err != nil {
			t.Fatal(err)
		}
		caught = append(caught, seed)
	}
	slices.Sort(caught)
	if (err != nil) != (len(caught) > 0) {
		t.Fatalf("no seed failed, but the program did: %v\n%.3000s", err, out)
	}
	if _, what, ok := strings.Cut(string(out), " breaks: "); ok {
		what, _, _ = strings.Cut(what, "\n")
		t.Logf("for example: %.200s", what)
	}
	return caught
}

// TestMutantsFollowTheCode: whoever changes the code learns at once which mutants must change with it.
func TestMutantsFollowTheCode(t *testing.T) {
	packages := compiledPackages(t, "../eventlog", "../engine", "../exchange")
	for _, m := range mutants {
		changed := m.sources(t)
		if len(changed) == 0 {
			t.Errorf("%q changes nothing", m.name)
		}
		if err := packages.check(changed); err != nil {
			t.Errorf("%q can't be built: %v", m.name, err)
		}
	}
}

// sources are the files that the mutant changes, by path.
func (m mutant) sources(t *testing.T) map[string]string {
	t.Helper()
	changed := map[string]string{}
	for _, e := range m.edits {
		path, err := filepath.Abs(filepath.Join("..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		source, ok := changed[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			source = string(data)
		}
		if n := strings.Count(source, e.old); n != 1 {
			t.Fatalf("%s holds %q %d times, want once: the mutant must follow the code", e.file, e.old, n)
		}
		changed[path] = strings.Replace(source, e.old, e.new, 1)
	}
	return changed
}

// build compiles the simulation with the mutant's changes. The tree stays as it is.
func (m mutant) build(t *testing.T) (program string) {
	t.Helper()
	folder := t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	for path, source := range m.sources(t) {
		file := filepath.Join(folder, fmt.Sprintf("%d.go", len(overlay["Replace"])))
		overlay["Replace"][path] = file
		write(t, file, []byte(source))
	}
	mapping, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "overlay.json"), mapping)
	program = filepath.Join(folder, "simulation.test")
	build := exec.Command("go", "test", "-c", "-tags", "grpcnotrace", "-overlay", filepath.Join(folder, "overlay.json"), "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the mutant: %v\n%s", err, out)
	}
	return program
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
