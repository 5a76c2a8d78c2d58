# `make serve` and `make test` each do all their own set-up in .venv; nothing else is touched.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
BUILT := setup.py pyproject.toml $(shell find ext -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.pxi')
COMPILED := $(subst /,.,$(patsubst ext/%.pyx,%,$(sort $(shell find ext -name '*.pyx'))))
PURE := voice_ai.codec voice_ai.wire voice_ai.turn
SPEECH := tests/data/speech

.PHONY: serve call test style types native pure tests sanitize aarch64 aarch64-python faults fuzz soak autobahn leaks coverage-ext \
	bench bench-load build dist-test lock clean

serve: $(VENV)/.run      ## Answer the phone on port 8000
	$(BIN)/python -m server

call: $(VENV)/.run       ## Place a call with recorded human speech, to a server of its own
	$(BIN)/python -m server call $(SPEECH)/goforward.wav $(SPEECH)/cards_001.wav $(SPEECH)/austen_0880.wav

test: style types native pure tests  ## All that must hold

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint --max-line-length=100 ext

types: $(VENV)/.dev
	$(BIN)/mypy --strict src
	MYPYPATH=src $(BIN)/python -m mypy.stubtest $(COMPILED)

native:                  ## The kernels' C headers, by C programs
	tests/native/run build/native cc -O2

pure: $(VENV)/.dev       ## The leaves, each line and branch of them by their own tests alone
	$(BIN)/python -m pytest -q tests/codec tests/wire tests/turn \
		$(PURE:%=--cov=%) --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

tests: $(VENV)/.dev
	$(BIN)/python -m pytest -q --ignore=tests/codec --ignore=tests/wire --ignore=tests/turn

sanitize: $(VENV)/.dev   ## C programs and codec tests under Address- and UndefinedBehaviourSanitizer
	tests/native/run build/native-sanitized gcc -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
	BIN=$(BIN) .ci/flavour sanitized

aarch64:                 ## The C programs for aarch64, under qemu
	.ci/aarch64

aarch64-python: $(VENV)/.dev  ## The codec tests on an aarch64 Python, under qemu; some minutes
	BIN=$(BIN) .ci/aarch64-python

FAULT ?=

faults: $(VENV)/.dev     ## What can befall a call's services, in each phase of it: a table, two minutes; FAULT=flux for some
	cd tests && PYTHONPATH=. $(abspath $(BIN))/python -m faults.table '$(FAULT)'

FUZZ_FRAMES ?= 10_000_000
FUZZ_MESSAGES ?= 10_000_000
FUZZ_CONNECTIONS ?= 1_000_000
FUZZ_CALLS ?= 50
FUZZ_WORKERS ?= 2
FUZZ := PYTHONPATH=tests $(BIN)/python tests/fuzz

fuzz: $(VENV)/.dev       ## Frames, messages, connections with calls alongside; an hour, FUZZ_* say how many
	$(FUZZ)/fuzz_frames.py --n $(FUZZ_FRAMES) --workers $(FUZZ_WORKERS)
	$(FUZZ)/fuzz_messages.py --n $(FUZZ_MESSAGES) --workers $(FUZZ_WORKERS)
	$(FUZZ)/fuzz_connections.py --n $(FUZZ_CONNECTIONS) --calls $(FUZZ_CALLS)

soak: $(VENV)/.dev       ## Calls for hours on virtual time and for minutes on the real clock; SOAK_* say how long
	PYTHONPATH=tests $(BIN)/python tests/soak/run_soak.py

PYTHON27 ?= env PYENV_VERSION=2.7.18 python2.7
AUTOBAHN := $(abspath $(VENV))/autobahn

autobahn: $(VENV)/.dev $(VENV)/autobahn/.ready  ## Autobahn's websocket cases against our port and websockets; a minute
	PYTHONPATH=tests $(BIN)/python tests/autobahn/run_autobahn.py \
		--wstest '$(PYTHON27) -m autobahntestsuite.wstest' --user-base $(AUTOBAHN)

leaks: $(VENV)/.dev      ## A million calls of each codec function, some minutes
	LEAK_CALLS=1_000_000 $(BIN)/python -m pytest -q tests/leaks

coverage-ext: $(VENV)/.dev  ## Lines of ext/ that the codec tests run
	BIN=$(BIN) .ci/flavour traced

bench: $(VENV)/.bench    ## Every unit of the codec beside its peers, and what was to be reached
	$(BIN)/python -m pytest benches

bench-load: $(VENV)/.load $(VENV)/peers/.ready  ## Our server under load beside its peers; half an hour
	$(BIN)/python -m benches.bench_load --pipecat $(VENV)/peers/bin/python

build: $(VENV)/.dev      ## sdist and wheel, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

dist-test: build         ## The tests against the installed wheel, in an environment of its own
	PYTHON=$(PYTHON) BIN=$(BIN) .ci/dist-test

lock: $(VENV)/.dev       ## Resolve anew for every supported Python
	$(BIN)/python -m pip install -q 'uv>=0.9,<1'
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra local --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra local --extra load --extra otel --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--extra local --extra load --extra otel --group dev --group bench -c requirements-dev.lock pyproject.toml -o requirements-bench.lock

clean:
	rm -rf $(VENV) build dist src/*.egg-info
	find src ext -name '*.so' -delete -o -name '*.c' -delete

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo 'voice_ai needs Python 3.11, 3.12, 3.13 or 3.14: none found; name one: make PYTHON=/path/to/python' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Our own package comes last, without its dependencies: those are the locked ones.
$(VENV)/.run: requirements.lock $(BUILT) | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.load: benches/load/requirements-fastapi.txt $(VENV)/.bench
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# pipecat has an environment of its own: what it needs must not choose our versions.
$(VENV)/peers/.ready: benches/load/requirements-pipecat.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# The suite runs under Python 2.7 alone; PYTHONUSERBASE is its environment, since that has no venv.
$(VENV)/autobahn/.ready: tests/autobahn/requirements.txt
	@$(PYTHON27) -c '' || { echo 'autobahn needs Python 2.7; name one: make autobahn PYTHON27=/path/to/python2.7' >&2; exit 2; }
	PYTHONUSERBASE=$(AUTOBAHN) $(PYTHON27) -m pip install -q --disable-pip-version-check --user \
		--no-warn-script-location --require-hashes -r $<
	@touch $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.dev
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	@touch $@
