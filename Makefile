# Two commands matter: `make demo` and `make test`. Each installs what is missing, builds and runs.

CARGO ?= cargo
# Of property tests and random scenarios in `make test`, so that a run can be had again. `make faults` draws its own.
SEED := 20261130
# What `make test` builds: one set for all of it, so that nothing is compiled twice. `make demo` does without AAC, and without what it needs.
TESTED := --locked --workspace --features aac
PAGE := src/console/dist/index.html
PAGE_SOURCES := $(shell find src/console/web -type f -not -path '*/node_modules/*')

.NOTPARALLEL:
.PHONY: help demo test dist faults setup setup-demo page tools reference check fmt lint doc unit peers clean-peers

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: setup-demo page ## Record three talkers end to end in one process and check the result
	$(CARGO) run --release --locked -- demo

test: setup page tools lint doc unit peers ## Everything: format, clippy, docs, unit, scenario, browser and SDK tests

dist: page ## The release binary in target/dist, stripped, with its debug information beside it
	$(CARGO) build --profile dist --locked --bin cloud-recorder
	cd target/dist && objcopy --only-keep-debug cloud-recorder cloud-recorder.debug
	cd target/dist && objcopy --strip-all --add-gnu-debuglink=cloud-recorder.debug cloud-recorder stripped && mv stripped cloud-recorder

faults: setup page ## The long runs: 500 kills, 50 power cuts, poorer journals, servers that fail for minutes; two hours on two free cores
	FATE_CASES=100000 $(CARGO) test --locked --features aac --test core packet_fates
	$(CARGO) test --locked --features aac --test recovery -- --ignored --nocapture --test-threads 1
	FAULTS_LONG=1 tests/peers/run.sh -s -k faults

setup: ## Install what the tests need
	scripts/setup.sh test

setup-demo: ## Install what the demo needs
	scripts/setup.sh demo

page: $(PAGE) ## Build the web pages that the binary embeds

$(PAGE): $(PAGE_SOURCES)
	scripts/page.sh

reference: ## Write docs/config.md anew; a test fails while it is stale
	$(CARGO) build --locked --features aac
	target/debug/cloud-recorder reference config >docs/config.md

check: fmt lint ## Quick checks before a commit

fmt: ## Format the Rust sources
	$(CARGO) fmt

lint: ## Format check and clippy, warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets $(TESTED) -- -D warnings
	scripts/deny.sh

doc: ## Build the documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps $(TESTED)

unit: ## Unit and scenario tests
	PROPTEST_RNG_SEED=$(SEED) RECOVERY_SEED=$(SEED) $(CARGO) test $(TESTED)

tools: ## Put what the peers tests need into target/peers; the storage tests use its S3 server
	tests/peers/setup.sh

peers: page ## Real browsers, SDKs, a real LiveKit server and a real S3 server against the built binary
	# Built as the tests build it: a plain build has other dependency features and would compile most of the tree anew.
	$(CARGO) test $(TESTED) --no-run
	tests/peers/run.sh

clean-peers: ## Forget what the peers tests keep between runs
	rm -rf target/peers
