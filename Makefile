# `make help` lists what there is. Everything runs with Go, a C compiler (for the race detector) and the tools pinned in
# tools/, which the go command builds.

GO ?= go
BUF := $(GO) tool -modfile=tools/buf/go.mod buf
GOLANGCI := $(GO) tool -modfile=tools/golangci/go.mod golangci-lint
IMAGE ?= dlm:dev
# A tag; without one the go command's own, which has the commit in it.
PICTURES ?= bin/web
VERSION ?= $(shell git describe --tags --dirty 2>/dev/null)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/dlm, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/dlm ./cmd/dlm

.PHONY: test
test: ## run the tests
	$(GO) test ./...

# Not those that try the program as it is built, in processes that nothing is detected in, nor the model, whose search has no
# goroutines. Of what goes on for long, with the same goroutines again and again, the short form.
RACE ?= $(shell $(GO) list ./... | grep -v -e '/cmd/dlm$$' -e '/tools/scenarios' -e '/tools/bench' -e '/tools/model' -e '/tools/release' -e '/deploy')

.PHONY: race
race: ## run the tests with the race detector
	$(GO) test -race -short -timeout 15m $(RACE)

.PHONY: vet
vet: ## run go vet
	$(GO) vet ./...
	$(GO) vet -tags containers,outages,release,scenarios,soak,upgrade ./...

.PHONY: lint
lint: ## run the linters on Go and proto files
	$(GOLANGCI) run ./...
	$(GO) run ./tools/shadow .
	$(BUF) lint
	$(BUF) format --diff --exit-code

.PHONY: arch
arch: ## check who imports whom
	$(GO) test -count=1 ./tools/arch

.PHONY: generate
generate: ## generate Go code from the proto files
	$(BUF) generate

.PHONY: check-generated
check-generated: ## check that the generated code is up to date
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && $(BUF) generate --output "$$dir" && \
	if ! diff -r --exclude='*.proto' facade/api "$$dir/facade/api"; then \
		echo 'the generated code is not what the proto files say: run make generate' >&2; exit 1; fi

.PHONY: manifests
manifests: ## check the Kubernetes manifests against Kubernetes' own types
	cd deploy/kubernetes/test && $(GO) vet . && $(GO) test .

.PHONY: manifests-render
manifests-render: ## render the Kubernetes manifests from the chart, and make the chart's table of values and its copies of alerts and dashboard
	$(GO) test -count=1 -run 'TestChartREADME|TestChartHasTheSameMonitoring' ./deploy -update
	cd deploy/kubernetes/test && $(GO) test -count=1 -run TestPlainManifests ./chart -update

.PHONY: kube
kube: ## try the Helm chart, by Helm's own code, and alerts and dashboard by Prometheus' and all by a real API server (20 minutes); ARGS=-short for the chart alone
	cd deploy/kubernetes/test && $(GO) test -vet=off -count=1 $(ARGS) ./...
ifneq ($(ARGS),-short)
	cd deploy/monitoring/test && $(GO) test -vet=off -count=1 $(ARGS) ./...
	cd deploy/kubernetes/apiserver && $(GO) test -vet=off -count=1 -timeout 40m $(ARGS) ./...
endif

.PHONY: bench
bench: ## measure dlm beside etcd's own mutex, about two minutes; ARGS="--clients 1,16" are given to dlm bench
	GO='$(GO)' tools/bench/bench.sh $(ARGS)

.PHONY: bench-publish
bench-publish: ## measure sections published in one call beside held ones and etcd, a quarter of an hour; ARGS="-short", ARGS="-only single"
	$(GO) run ./tools/bench/publish $(ARGS)

.PHONY: bench-peers
bench-peers: ## measure dlm beside etcd, Redis, ZooKeeper and PostgreSQL, more than an hour; installs them, as root
	GO='$(GO)' tools/bench/peers.sh $(ARGS)

.PHONY: against
against: ## hold the working tree against an older commit, about half an hour; ARGS="REV --bar 0.97", ARGS=--secure, ARGS=--watched, or ARGS=--help
	GO='$(GO)' tools/bench/against.sh $(ARGS)

.PHONY: told
told: ## measure how soon a holder knows that it was evicted, half a minute; ARGS="-evictions 1000" for more than 200
	$(GO) test -count=1 -v -run '^TestTold$$' ./tools/bench -evictions 200 $(ARGS)

.PHONY: bench-cli
bench-cli: ## measure what it costs to run a command under a lock, beside etcdctl, a few seconds; ARGS="-pairs 50 -bar 1.2"
	$(GO) test -count=1 -v -run '^TestCLI$$' ./tools/bench -pairs 20 $(ARGS)

.PHONY: bench-once
bench-once: ## run every benchmark once, to see that it works
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME, a minute if none is given; ARGS="FuzzKeys" names the ones to run
	GO='$(GO)' tools/fuzz/fuzz.sh $(ARGS)

.PHONY: peers
peers: ## check the programs that try other systems, which are Go modules of their own
	cd cmd/dlm-bench-peers && $(GO) vet ./... && $(GO) test ./...
	cd tools/robustness/compare && $(GO) vet ./... && $(GO) test ./...

.PHONY: web
web: ## try the web page in Chromium (two minutes); skipped where there is none; ARGS=-short for less than a minute of it
	@mkdir -p $(PICTURES)
	cd tools/web && $(GO) vet ./... && DLM_WEB_PICTURES='$(abspath $(PICTURES))' $(GO) test -count=1 -timeout 10m -v ./... $(ARGS)

.PHONY: python
python: ## test the Python client against servers of its own; skipped where grpcio and grpcio-tools are missing
	GO='$(GO)' client/python/run_tests.sh

.PHONY: check
check: vet race lint arch check-generated manifests bench-once peers ## everything that must hold before a change is merged

.PHONY: model
model: ## look at every state of the protocol in larger configurations than the tests do (minutes, 2 GB of memory)
	$(GO) run ./tools/model $(ARGS)

.PHONY: soak
soak: ## run two million cycles and see that the database stops growing (about an hour)
	$(GO) test -tags soak -run Soak -timeout 4h -v ./etcdstore

.PHONY: scrape
scrape: ## hold 100,000 locks, and see that a scrape of the metrics and dlm status take what they may (two minutes, on a machine that does nothing else)
	$(GO) test -run 'TestScrape$$|TestStatusOfMany$$' -count=1 -timeout 20m -v ./cmd/dlm -held 100000 -punctual

.PHONY: outages
outages: ## stop, kill and cut off servers and members of etcd, and print the longest call of each time (ten minutes; as root with cut networks)
	$(GO) test -tags outages -run Outages -count=1 -timeout 20m -v ./cmd/dlm

.PHONY: upgrade
upgrade: ## upgrade from the version of a commit and back, under load (two minutes); ARGS=REV
	@test -n '$(ARGS)' || { echo 'say which version is upgraded from: make upgrade ARGS=REV' >&2; exit 2; }
	$(GO) test -tags upgrade -count=1 -timeout 20m -v $(or $(filter -run%,$(ARGS)),-run 'TestUpgradeInPlace|TestRollingUpgrade') \
		./cmd/dlm -from $(firstword $(ARGS))

.PHONY: scenarios
scenarios: ## play the coursework's fault scenarios and tell what happened (about two minutes); ARGS="-run 4e" for one
	@GO='$(GO)' tools/scenarios/scenarios.sh $(ARGS)

.PHONY: bin/robustness
bin/robustness:
	@mkdir -p bin && $(GO) build -o bin/robustness ./tools/robustness

.PHONY: robustness-short
robustness-short: bin/robustness ## break a real cluster of each layout at random for a while, check every answer, and see that broken rules are found out (five minutes)
	bin/robustness -layout embedded -for 20s -seed 1
	bin/robustness -layout external -for 20s -seed 1
	bin/robustness -layout secured -for 15s -seed 1
	bin/robustness -mutants -only quick

UPGRADE_FROM ?=

.PHONY: robustness
robustness: bin/robustness ## the same for longer, with what has once found something, and with all of the broken rules (a quarter of an hour); UPGRADE_FROM=REV to begin with the servers of a commit
	bin/robustness -layout embedded -for 1m -upgrade-from '$(UPGRADE_FROM)'
	bin/robustness -layout external -for 1m -upgrade-from '$(UPGRADE_FROM)'
	bin/robustness -layout secured -for 1m -upgrade-from '$(UPGRADE_FROM)'
	bin/robustness -regressions tools/robustness/testdata/seeds
	bin/robustness -mutants

SEEDS ?= 1-10
RESULTS ?= bin/robustness-results.jsonl

.PHONY: robustness-long
robustness-long: bin/robustness ## five minutes of each layout with each of SEEDS (1-10); what is in RESULTS has been run, and is summed up
	bin/robustness -seeds $(SEEDS) -for 5m -results $(RESULTS)

.PHONY: mutants
mutants: bin/robustness ## break the protocol's rules one by one, and see that each is found out (ten minutes); ARGS="-only quick" for two
	bin/robustness -mutants $(ARGS)

.PHONY: robustness-compare
robustness-compare: ## put other systems' locks under the same faults as dlm's, and tell what became of the data (a quarter of an hour, and longer the first time, which builds kube-apiserver); skips what is not installed
	@mkdir -p bin
	cd tools/robustness/compare && $(GO) build -o ../../../bin/robustness-compare . && ../../../bin/robustness-compare $(ARGS)

.PHONY: abuse
abuse: ## flood servers in every way, beside an honest client, and tell what that noticed (ten minutes); ARGS=-short for one
	@mkdir -p bin && $(GO) build -o bin/abuse ./tools/abuse
	bin/abuse $(ARGS)

.PHONY: killed
killed: ## measure how soon a lock passes on whose holder, or next waiter, was killed or stopped
	$(GO) test -count=1 -v -run 'TestKilledIsNotWaitedFor|TestStoppedHolderHasItsTTL' ./cmd/dlm

.PHONY: image
image: build ## build the container image
	deploy/image/image.sh bin/dlm $(IMAGE)

IMAGES ?= bin/image

.PHONY: images
images: ## build the image for amd64 and arm64, with buildah, into a directory, IMAGES
	for arch in amd64 arm64; do CGO_ENABLED=0 GOOS=linux GOARCH=$$arch \
		$(GO) build -trimpath -buildvcs=true -ldflags '-s -w -X main.version=$(VERSION)' -o bin/dlm-$$arch ./cmd/dlm || exit 1; done
	GO='$(GO)' deploy/image/image.sh --all $(IMAGES) bin/dlm-amd64 bin/dlm-arm64

.PHONY: release-check
release-check: ## make what a release consists of, offline, and look at it (ten minutes); ARGS=-short without the release tool, ARGS=-every for all platforms
	cd tools/sbom && $(GO) vet ./... && $(GO) test ./...
	$(GO) test -tags release -count=1 -v -timeout 60m ./tools/release $(ARGS)

.PHONY: containers
containers: ## build the image and try a cluster of three; skipped where no container engine answers
	$(GO) test -tags containers -count=1 -timeout 20m -v -run Containers ./deploy

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
