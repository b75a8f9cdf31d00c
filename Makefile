# Cairn. `make demo` shows it, `make test` checks it; both need Go alone.

GO       ?= go
BIN      := bin
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 10s
SOAK     ?= 10000000
ROUNDS   ?= 500

# One way of building for all: with another, the libraries, which take longer
# than all the rest, are built a second time.
export CGO_ENABLED ?= 0
export GOFLAGS     ?= -trimpath
TARGETS  := linux/amd64 linux/arm64 linux/arm windows/amd64 darwin/arm64 freebsd/amd64

.PHONY: build demo test test-all race lint fuzz soak matrix campaign million idle year bench cross clean sixty audits

build: ## bin/cairn
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/cairn ./cmd/cairn

demo: build ## twenty nodes on this machine: a file in, holders killed in three waves, mended by the others each time, the file back
	$(BIN)/cairn demo

test: ## every test that needs Go alone, and at most five minutes
	$(GO) vet ./...
	$(GO) test -short ./...

test-all: ## the long tests too: real processes, five gigabytes
	$(GO) test -timeout 30m ./...

# On more than one thread, synctest's timers corrupt the race detector's own
# state (golang/go#78156: "ThreadSanitizer: CHECK failed"). It sees unordered
# accesses on one thread, too: what it compares is order, not time.
race: ## needs a C compiler
	CGO_ENABLED=1 $(GO) test -race -short -cpu 1 ./protocol/... ./storage/... ./client/... ./node/... ./lab/...
	CGO_ENABLED=1 $(GO) test -race -short -cpu 1 -run 'InMemory$$' ./integration

lint: ## golangci-lint, built from tools/go.mod
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...

fuzz: ## each decoder for FUZZTIME, two at a time
	GO='$(GO)' FUZZTIME='$(FUZZTIME)' sh .ci/fuzz

soak: ## each decoder SOAK times on mutants of its corpus, two at a time: two minutes or less for most
	GO='$(GO)' SOAK='$(SOAK)' sh .ci/fuzz

matrix: ## every operation on a disk upset in every way: some 9,000 crashes and failures
	CAIRN_MATRIX=full $(GO) test -count=1 -timeout 2h -v -run '^TestFaultMatrix$$' ./storage

campaign: ## a node killed by SIGKILL during puts, ROUNDS times, its index deleted: nothing acknowledged is lost
	CAIRN_CAMPAIGN=$(ROUNDS) $(GO) test -count=1 -timeout 2h -v -run '^TestCampaign$$' ./integration

million: ## a node with a million small shards: how long it starts, what it takes when idle
	CAIRN_MILLION=1 $(GO) test -count=1 -timeout 1h -v -run '^TestMillionShards$$' ./integration

audits: ## what audits send in a month for each stored TB, with few members and with many: some minutes
	CAIRN_AUDITS=1 $(GO) test -count=1 -timeout 1h -v -run '^TestAuditTraffic$$' ./integration

idle: ## a node with 100,000 shards in 1,000 groups while nobody asks anything of it: what it takes, sends and receives
	CAIRN_IDLE=1 $(GO) test -count=1 -timeout 1h -v -run '^TestIdleNode$$' ./integration

# Two networks at a time, on a core each. Every run says its seed; CAIRN_SEED,
# CAIRN_NODES, CAIRN_OWNERS, CAIRN_DAYS, CAIRN_EAGER_DAYS, CAIRN_LOSS and
# CAIRN_PROFILE change it.
sixty: ## sixty days of sixty nodes at three times the loss, in virtual time: some minutes
	CAIRN_SIXTY=1 $(GO) test -count=1 -timeout 1h -v -run '^TestSixtyDays$$' ./integration

year: ## a year without the owners, in virtual time: checks that nothing is lost, and that repair moves what the model says, and far less than eager repair
	$(GO) test -c -o $(BIN)/year.test ./integration
	(cd integration && CAIRN_YEAR=1 ../$(BIN)/year.test -test.run '^TestYear$$' -test.v -test.timeout 3h) & first=$$!; \
	(cd integration && CAIRN_YEAR=1 ../$(BIN)/year.test -test.run '^TestWideYear$$' -test.v -test.timeout 3h); second=$$?; \
	wait $$first && exit $$second

bench: build ## put and get of 256 MiB through ten nodes, against a yardstick of the same run
	$(GO) run ./lab/bench -cairn $(BIN)/cairn

cross: ## every platform that cairn is for still builds
	for t in $(TARGETS); do \
		echo $$t && GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -o /dev/null ./cmd/cairn || exit 1; \
	done

clean:
	rm -rf $(BIN)
