# One list of commands. `make` prints it.
#
# Everything is built in one profile (release) into one folder outside of the checkout, so that fresh clones and repeated
# runs share what was built once. Set CARGO_TARGET_DIR to have it elsewhere.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export CARGO_TARGET_DIR ?= $(HOME)/.cache/duologue/target
BIN := $(CARGO_TARGET_DIR)/release
CLIENTS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/duologue/python-clients
# Where programs of others lie that only tests use.
export PYTHON_HOME ?= $(HOME)/.cache/duologue/python

.PHONY: help
help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build client models ## Install, fetch, build what is missing, then serve: open the page and talk
	$(BIN)/duologue serve

.PHONY: test
test: test-system client browser clients core ## Everything it needs, then every test
	cargo build --release --workspace --bins --tests
	$(BIN)/duologue models fetch --for-default
	$(BIN)/duologue models fetch smollm2-135m whisper-base
	DUOLOGUE_REQUIRE_MODELS=1 cargo test --release --workspace --no-fail-fast
	cd client && npm run --silent check && npm test

.PHONY: core
core: ## The inner loop: the pure core, no sockets, no models, seconds
	cargo test -p duologue-core

.PHONY: build
build: system ## The release binaries
	cargo build --release --workspace --bins

.PHONY: client
client: ## The call page
	cd client && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; } && npm run --silent build

.PHONY: browser
browser: test-system
	cd tests/browser && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; }

.PHONY: clients
clients: ## What speaks to the server in the tests of its doors: OpenAI's SDKs and aiortc, in folders of their own
	@cmp -s tests/clients/requirements.txt $(CLIENTS)/requirements.txt || { rm -rf $(CLIENTS) && \
	  python3 -m pip install --quiet --no-warn-script-location --target $(CLIENTS) -r tests/clients/requirements.txt && \
	  cp tests/clients/requirements.txt $(CLIENTS)/; }
	@cd tests/clients && { cmp -s package-lock.json node_modules/.installed || { npm ci --silent --no-audit --no-fund && cp package-lock.json node_modules/.installed; }; }

.PHONY: models
models: build ## The models that the default configuration needs
	$(BIN)/duologue models fetch --for-default

.PHONY: system
system: ## The system packages that building needs (says which)
	@scripts/system-packages.sh

.PHONY: test-system
test-system:
	@scripts/system-packages.sh --test
	@[ -d $(PYTHON_HOME)/datasette ] || python3 -m pip install --quiet --target $(PYTHON_HOME) 'datasette>=0.65,<1'
	@# In a folder of its own: it brings other versions of what Datasette needs.
	@[ -d $(PYTHON_HOME)/moto/moto ] || python3 -m pip install --quiet --no-warn-script-location --target $(PYTHON_HOME)/moto 'moto[server]==5.2.5'
	@cmp -s tests/searx/requirements.txt $(PYTHON_HOME)/searx/requirements.of.tests || { rm -rf $(PYTHON_HOME)/searx && \
	  python3 -m pip install --quiet --no-warn-script-location --target $(PYTHON_HOME)/searx --no-deps -r tests/searx/requirements.txt && \
	  cp tests/searx/requirements.txt $(PYTHON_HOME)/searx/requirements.of.tests; }

.PHONY: check
check: build ## Configuration, models, database, ports and back ends, each with a verdict
	$(BIN)/duologue check

.PHONY: bench-turn
bench-turn: build models ## Response latency at the ear, p50 and p95, with real models
	benches/turn.sh

.PHONY: bench-replies
bench-replies: build models ## How well the default language model answers, put to it as a chat and as a transcript (ARGS=-v shows the replies)
	python3 benches/replies.py $(BIN)/duologue-llm $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/duologue/models/qwen2.5-coder-0.5b-instruct-q4.gguf $(ARGS)

.PHONY: bench-asr
bench-asr: system ## What hearing in parts and in real time costs: streaming tax, tail, partials
	cargo bench --profile release --workspace --bench asr -- $(ARGS)

.PHONY: bench-media
bench-media: build ## CPU per call-second and memory per call, N echo calls
	benches/media.sh

.PHONY: bench-setup
bench-setup: build browser ## How long a WebRTC caller waits for the answer, for the connection and for the first packet of sound
	benches/setup.sh

.PHONY: bench-sip
bench-sip: build test-system ## Telephones: 500 calls at 100 a second from sipp, how they ended, CPU-ms and memory
	benches/sip.sh

.PHONY: bench-telephone
bench-telephone: build ## What a telephone's sound costs a call-second, beside rtpengine where that is installed
	benches/telephone.sh

.PHONY: bench-judge
bench-judge: build models ## How long the judge takes, and how good it is: p50/p95 on the clock and of processor time, 1 and 2 threads
	$(BIN)/duologue judge eval judge/data/dev.jsonl --threads 1,2

.PHONY: bench-lateness
bench-lateness: build models ## How late the agent's frames leave, with the machine idle and saturated by inference
	benches/lateness.sh

.PHONY: bench-memory
bench-memory: system ## How long it takes to recollect a caller, with 100,000 facts in the file
	cargo bench --profile release --workspace --bench memory

.PHONY: bench-extraction
bench-extraction: build models ## What is remembered of what callers say, by rules and by the model: precision and recall (ARGS=-v shows what is wrong)
	DUOLOGUE_LLM=$(BIN)/duologue-llm cargo bench --profile release --workspace --bench extraction -- $(ARGS)

.PHONY: bench-review
bench-review: system ## How long each review question takes on 10,000 calls (DATABASE=file takes one that is there)
	cargo bench --profile release --workspace --bench review

.PHONY: bench-knowledge
bench-knowledge: system ## How long it takes to look something up in what a persona knows
	cargo bench --profile release --workspace --bench knowledge

.PHONY: bench-floor
bench-floor: build models ## Turn-taking: latency with cut-ins, barge-in, selectivity, beside two baselines (SET="--set floor.hold_ms=200")
	cargo bench --profile release --workspace --bench floor -- $(SET)

.PHONY: bench-echo
bench-echo: models ## The agent's own echo: false stops an hour and missed interruptions, canceller off and on (ARGS="--mode both")
	cargo bench --profile release --workspace --bench echo -- $(ARGS)

.PHONY: corpus
corpus: build models ## The labelled duplex corpus as WAV and JSON files, for listening (CORPUS=folder)
	cargo bench --profile release --workspace --bench floor -- --render $(or $(CORPUS),$(HOME)/.cache/duologue/corpus/scenes)

.PHONY: bench-downlink
bench-downlink: build client browser ## PESQ, concealment and delay in a real browser over a bad network (SEEDS=2, WAV=speech.wav)
	benches/downlink.sh $(or $(SEEDS),2) $(WAV)

.PHONY: bench-jitter
bench-jitter: ## Concealed sound, delay, PESQ and CPU of the jitter buffer over seeded traces
	benches/jitter.sh
