# `make help` prints the menu. A machine with Go, gcc, make and git runs everything but `make e2e`,
# which also needs Node, npm, curl, g++ (for DuckDB), Prometheus with promtool and Chromium; .ci/run installs those.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Without grpcnotrace a dependency of gocloud.dev switches the linker's dead-code elimination off:
# 9 MB more in the binary. So every build, test and check of this repository carries the tag.
TAGS := grpcnotrace

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN := bin/mess-exchange

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Runs per fuzz target, some seconds each. Not a duration: before Go 1.27 one that runs out can fail a
# target without any fault in it (golang/go#75804).
FUZZTIME ?= 20000x
BROWSER := internal/e2e/browser
DUCKDB := internal/e2e/duckdb

.PHONY: help
help: ## this menu
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build the server and run it on ./data, port 3000
	STORAGE_TYPE=filesystem STORAGE_PATH=./data PORT=3000 ./$(BIN)

.PHONY: build
build: ## build bin/mess-exchange, a static binary
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN) ./cmd/mess-exchange

.PHONY: test
test: ## the tests that need nothing but Go
	go test -tags $(TAGS) ./...

.PHONY: race
race: ## the same tests under the race detector (needs gcc)
	go test -tags $(TAGS) -race ./...

# How many end-to-end tests run at a time, of those that mostly wait (t.Parallel).
WAITING := 6

.PHONY: e2e
e2e: $(BROWSER)/node_modules ## the built program from outside: S3, kill -9, DuckDB, Chromium (leaves a screenshot in bin/e2e)
	cd $(DUCKDB) && go mod tidy -diff && go vet ./...
	rm -rf bin/e2e && mkdir -p bin/e2e
	go test -tags $(TAGS),e2e -count=1 -timeout 20m -parallel $(WAITING) -skip '$(TORTURE)' -artifacts -outputdir $(CURDIR)/bin/e2e ./internal/e2e/...
	go test -tags $(TAGS),e2e -count=1 -timeout 5m -run '$(TORTURE)' -v -artifacts -outputdir $(CURDIR)/bin/e2e ./internal/e2e

# The Worker of deploy/cloudflare in workerd. npm puts the Node that wrangler needs beside it.
WORKER := deploy/cloudflare

.PHONY: worker
worker: $(WORKER)/node_modules ## the Cloudflare Worker: its size, its R2 driver and the end-to-end tests, in workerd
	cd $(WORKER) && npm run --silent worker:check && npm run --silent worker:suite
	PATH="$(CURDIR)/$(WORKER)/node_modules/.bin:$$PATH" go test -tags $(TAGS),e2e -count=1 -timeout 15m -parallel $(WAITING) -v ./internal/e2e -args -worker

# Medians of so many answers; 50 take a minute and a half.
WORKER_ROUNDS ?= 50

.PHONY: worker-bench
worker-bench: $(WORKER)/node_modules ## the Cloudflare Worker against the same program begun for each request, as ratios of one run
	cd $(WORKER) && npm run --silent worker:bench -- $(WORKER_ROUNDS)

$(WORKER)/node_modules: $(WORKER)/package-lock.json $(WORKER)/package.json
	npm ci --prefix $(WORKER)
	@touch $@

# How long and how much on each storage; seed 0 draws one. A failing run prints the line that repeats it.
SEED ?= 0
DURATION ?= 10m
OPERATIONS ?= 20000
TORTURE := ^Test(Torture|Mutants)$$

# Seeds of the simulation, the first of them drawn where it is 0: 2000 are some 18 million turns, and eight
# minutes of one processor's time. One that fails is printed with the line that repeats it.
# SIMULATION_MUTANTS is how many seeds each mutant has to escape; most are caught by the first twenty.
SIMULATION_SEEDS ?= 2000
SIMULATION_FROM ?= 0
SIMULATION_MUTANTS ?= 600
QUIETLY := | grep -vE '^ *(=== |--- PASS: .*seed=|--- PASS: .*from=)'

.PHONY: torture
torture: ## SIMULATION_SEEDS=2000 simulated; everything broken for DURATION=10m on three replicas, then on a folder, all answers checked; then killed 20 times in the middle of merges and of snapshots
	go test -tags $(TAGS) -count=1 -timeout 0 -run '^TestSimulation$$' -v ./internal/simulation \
		-args -simulation.seeds $(SIMULATION_SEEDS) -simulation.from $(SIMULATION_FROM) $(QUIETLY)
	rm -rf bin/torture && mkdir -p bin/torture
	go test -tags $(TAGS),e2e -count=1 -timeout 0 -run '^TestTorture$$' -v -artifacts -outputdir $(CURDIR)/bin/torture ./internal/e2e \
		-args -torture.seed $(SEED) -torture.for $(DURATION) -torture.operations $(OPERATIONS)
	go test -tags $(TAGS),e2e -count=1 -timeout 0 -run '^TestKillErrands$$' -v ./internal/e2e -args -errands.rounds 20

.PHONY: torture-mutants
torture-mutants: ## the log and the server with one rule broken each, which the simulation and the torture must catch
	go test -tags $(TAGS) -count=1 -timeout 0 -run '^TestMutants$$' -v ./internal/simulation \
		-args -simulation.mutants $(SIMULATION_MUTANTS) $(QUIETLY)
	go test -tags $(TAGS),e2e -count=1 -timeout 0 -run '^TestMutants$$' -v ./internal/e2e -args -torture.mutants

# Each waiter is an open file on both sides: ulimit -n must let WAITERS=10000 and a thousand more be.
WAITERS ?= 10000

.PHONY: waiters
waiters: ## WAITERS=10000 streams, and then as many waiting reads, on the built program: what they cost, and when the last one is told
	go test -tags $(TAGS),e2e -count=1 -timeout 10m -run '^TestWaiters$$' -v ./internal/e2e \
		-args -waiters.count $(WAITERS) -waiters.idle 30s

# How often the process that delivers is killed, on a folder and then on three replicas, where each time another
# takes over some twenty seconds later: 50 are half an hour.
NOTIFY_ROUNDS ?= 50

.PHONY: notify
notify: ## the process that delivers notifications killed NOTIFY_ROUNDS=50 times, and what arrived held to the log
	go test -tags $(TAGS),e2e -count=1 -timeout 0 -run '^TestNotificationsKill$$' -v ./internal/e2e -args -notify.rounds $(NOTIFY_ROUNDS)

.PHONY: notify-latency
notify-latency: ## a create with 1,000 executors whose receivers hang against one with nobody to tell; 10,000 executors told of one request
	go test -tags $(TAGS),e2e -count=1 -timeout 20m -run '^TestNotifications(Latency|Many)$$' -v ./internal/e2e \
		-args -notify.turns 20 -notify.creates 100 -notify.executors 10000

# Installed by npm from its lock file, again only when that changes.
$(BROWSER)/node_modules: $(BROWSER)/package-lock.json $(BROWSER)/package.json
	npm ci --prefix $(BROWSER) --ignore-scripts
	@touch $@

.PHONY: generate
generate: ## write the server and the client from api/openapi.yaml again
	go generate -tags $(TAGS) ./...

.PHONY: check
check: check-fresh check-go fuzz ## generated code is fresh, formatted, tidy; vet, staticcheck, short fuzzing

# The tree as it is, untracked files included, as a git tree object: generating again must not
# change it. It compares before with after, so it also works amid uncommitted work.
TREE = export GIT_INDEX_FILE=$$(mktemp -u); git add -A . && git write-tree; rm -f "$$GIT_INDEX_FILE"

.PHONY: check-fresh
check-fresh:
	@before=$$($(TREE)); $(MAKE) --no-print-directory generate; after=$$($(TREE)); \
	git diff --exit-code $$before $$after || { echo "make generate changed the files above: commit what it writes" >&2; exit 1; }
	@unformatted=$$(gofmt -l .); \
	test -z "$$unformatted" || { echo "not formatted by gofmt: $$unformatted" >&2; exit 1; }
	go mod tidy -diff

.PHONY: check-go
check-go:
	go vet -tags $(TAGS),e2e ./...
	GOOS=js GOARCH=wasm go vet -tags $(TAGS) ./cmd/mess-worker ./internal/worker ./internal/promise ./internal/bucket/r2blob ./internal/notify/send
	go run $(STATICCHECK) -tags $(TAGS),e2e ./...

# go test fuzzes one target of one package at a time, so they are found and run one by one.
.PHONY: fuzz
fuzz: ## each fuzz target for a short while, FUZZTIME=20000x runs
	@git grep --untracked -hE -o '^func Fuzz[A-Za-z0-9_]*' >/dev/null -- '*_test.go' || { echo "no fuzz targets found" >&2; exit 1; }
	@git grep --untracked -E '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' | sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | \
	while read -r dir target; do \
		echo "fuzz $$dir $$target $(FUZZTIME)"; \
		go test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "./$$dir" </dev/null; \
	done

# Where `make install` puts things; DESTDIR goes in front of it, for those who make packages.
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system

# It builds nothing: root, who runs it, may not have Go.
.PHONY: install
install: ## put bin/mess-exchange and the unit of systemd under PREFIX=/usr/local
	@test -x $(BIN) || { echo "no $(BIN): run make build first" >&2; exit 1; }
	install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/mess-exchange
	install -d -m 755 $(DESTDIR)$(UNITS)
	sed "s,@PREFIX@,$(PREFIX)," deploy/systemd/mess-exchange.service >$(DESTDIR)$(UNITS)/mess-exchange.service
	chmod 644 $(DESTDIR)$(UNITS)/mess-exchange.service

.PHONY: deploy
deploy: deploy-systemd deploy-proxy deploy-docker ## every way to deploy it, tried for real (needs root and the Debian packages in .ci/run)

# The image that `make image` wrote, to be tried in the place of one that is built for it: IMAGE=bin/image.tar.
IMAGE ?=

.PHONY: image
image: ## build deploy/docker/Dockerfile on a stand-in for what it starts from, into bin/image.tar, which docker load reads
	mkdir -p bin
	deploy/test/image.sh bin/image.tar

.PHONY: deploy-docker
deploy-docker: ## the image built and run, and compose in both ways, on a Docker Engine in name spaces
	deploy/test/docker.sh $(abspath $(IMAGE))

# Apart from `make deploy`, as it builds Kubernetes itself first, from its modules: once, 1,465 s of processor time.
.PHONY: deploy-kubernetes
deploy-kubernetes: ## the Helm chart on a real Kubernetes of one node in name spaces (needs root and the Debian packages in .ci/run)
	deploy/test/kubernetes.sh $(abspath $(IMAGE))

.PHONY: deploy-proxy
deploy-proxy: build ## nginx and Caddy in front of it, configured as docs/deployment.md says
	deploy/test/proxy.sh

.PHONY: deploy-systemd
deploy-systemd: build ## make install into a folder, and the unit checked by systemd
	deploy/test/systemd.sh

.PHONY: bench
bench: build ## the server against a bare handler, the disk and an S3 server, as tables
	go run -tags $(TAGS) ./internal/e2e/bench -server ./$(BIN)

# Ten minutes and 2 GB of disk. BENCH_BIG=-single adds the start with one event an object, a million files.
BENCH_BIG ?=

.PHONY: bench-big
bench-big: build ## costs, memory and starts with a million threads against a hundred
	go run -tags $(TAGS) ./internal/e2e/bench -server ./$(BIN) -threads "" -s3=false -scale 1000000 $(BENCH_BIG)

.PHONY: tidy
tidy: ## go mod tidy in both modules
	go mod tidy
	cd $(DUCKDB) && go mod tidy
