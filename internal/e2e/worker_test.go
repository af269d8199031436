//go:build e2e

package e2e

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// onWorker has every test that can run against the Worker (deploy/cloudflare) in workerd, with its R2 on this machine,
// in the place of the program. What can't is in notOnWorker.
var onWorker = flag.Bool("worker", false, "test the Worker of deploy/cloudflare (after npm ci there) in the place of the program")

// notOnWorker are the tests that can't run against the Worker, with the reason.
var notOnWorker = map[string]string{
	"TestBucketGoesAway":           aboutS3,
	"TestLine":                     aboutS3,
	"TestLineHolds":                aboutS3,
	"TestSleepAcrossMerge":         aboutS3,
	"TestKeysAtReplicas":           aboutReplicas,
	"TestReplicasAgree":            aboutReplicas,
	"TestReplicasLinearizable":     aboutReplicas,
	"TestReplicasManyWriters":      aboutReplicas,
	"TestReplicasRace":             aboutReplicas,
	"TestUploadAtOneReplica":       aboutReplicas,
	"TestKeyedCallsLinearizable":   aboutReplicas,
	"TestDiskFails":                aboutDisk,
	"TestFolderGoesAway":           aboutDisk,
	"TestFullDiskWalk":             aboutDisk,
	"TestFilesOfOldData":           aboutOldFolder,
	"TestCheckOldData":             aboutOldFolder,
	"TestOldData":                  aboutOldFolder,
	"TestQueryOldData":             aboutOldFolder,
	"TestCopyUnderLoad":            aboutCommand,
	"TestCopyOldData":              aboutCommand,
	"TestCapabilities":             aboutCommand,
	"TestViewsOldData":             aboutOldFolder,
	"TestQuestions":                aboutNothing,
	"TestAlertRules":               aboutMetrics,
	"TestDashboard":                aboutMetrics,
	"TestForgottenUploads":         aboutCommand,
	"TestKillErrands":              aboutCommand,
	"TestMistakes":                 aboutCommand,
	"TestEmptyStart":               aboutCommand,
	"TestReadmeWalk":               aboutCommand,
	"TestSlowHeaders":              aboutSockets,
	"TestEndlessHeader":            aboutSockets,
	"TestBodiesTooLarge":           aboutSockets,
	"TestNoByteOfARefusedRequest":  aboutSockets,
	"TestWaiters":                  aboutSockets,
	"TestNotificationsKill":        "it tells who delivers by the sockets of processes; TestCrashWhileTelling ends the program in a Worker",
	"TestNotificationsLatency":     aboutCrowds,
	"TestNotificationsMany":        aboutCrowds,
	"TestQueryFailedNotifications": "it writes into the directory of the log",
	"TestModel":                    aboutNothing,
	"TestModelOfExpiry":            aboutNothing,
	"TestMutantsApply":             aboutNothing,
	"TestWorkerIsTold":             aboutNothing,
	"TestDocs":                     "it needs Chromium, to which the page is the same file; TestHTTP asks for it",
	"TestKill":                     "it reads the log after each of twenty kills as a directory; TestCrash and TestCrashWhileTelling end the program in a Worker",
	"TestMutants":                  "it builds servers with a broken rule, each of which is the program",
	"TestTorture":                  "its clock is the kernel's, which it moves for processes that it starts, and its faults are between the program and S3",
}

const (
	aboutS3        = "it breaks the line between the program and an S3 server; a binding has no line"
	aboutReplicas  = "it runs two servers on one bucket; of a Durable Object there is one"
	aboutDisk      = "it breaks the disk under a directory"
	aboutOldFolder = "it begins with a directory of the original server; on R2 there are the objects that were copied there (docs/workers.md), which TestMoves does"
	aboutCommand   = "it is about the program's commands and exit codes"
	aboutSockets   = "it is about sockets and memory of the program; before a Worker Cloudflare ends connections and reads headers"
	aboutCrowds    = "it has a thousand receivers and more; a Worker calls four at once (docs/workers.md). TestHangingReceivers is the same in small"
	aboutMetrics   = "it is about Prometheus, which has nothing to ask a Worker"
	aboutNothing   = "it starts no server"
)

// workerTests are the names of the tests that can run against the Worker, and of all.
func workerTests() (some, all []string, err error) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
				continue
			}
			all = append(all, f.Name.Name)
			if _, not := notOnWorker[f.Name.Name]; !not {
				some = append(some, f.Name.Name)
			}
		}
	}
	return some, all, nil
}

// TestWorkerIsTold: every test that does not run against the Worker is one that exists.
func TestWorkerIsTold(t *testing.T) {
	some, all, err := workerTests()
	if err != nil {
		t.Fatal(err)
	}
	for name := range notOnWorker {
		if !slices.Contains(all, name) {
			t.Errorf("there is no %s", name)
		}
	}
	if len(some) < 20 {
		t.Errorf("only %d tests run against the Worker: %q", len(some), some)
	}
}
