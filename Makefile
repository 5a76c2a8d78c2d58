# `make serve` and `make test` each do all their own set-up in .venv; nothing else is touched.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$p"; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
BUILT := setup.py pyproject.toml $(shell find ext -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.pxi')
PURE := voice_ai.codec voice_ai.wire voice_ai.turn
SPEECH := tests/data/speech

.PHONY: serve call test style types tests pure bench build dist-test lock clean

serve: $(VENV)/.run      ## Answer the phone on port 8000
	$(BIN)/python -m server

call: $(VENV)/.run       ## Place a call with recorded human speech, to a server of its own
	$(BIN)/python -m server call $(SPEECH)/goforward.wav $(SPEECH)/cards_001.wav $(SPEECH)/austen_0880.wav

test: style types pure tests  ## All that must hold

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint --max-line-length=100 ext

types: $(VENV)/.dev
	$(BIN)/mypy --strict src
	MYPYPATH=src $(BIN)/python -m mypy.stubtest voice_ai.codec._door voice_ai.codec._fir voice_ai.codec._g711

pure: $(VENV)/.dev       ## The leaves, each line and branch of them by their own tests alone
	$(BIN)/python -m pytest -q tests/codec tests/wire tests/turn \
		$(PURE:%=--cov=%) --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

tests: $(VENV)/.dev
	$(BIN)/python -m pytest -q --ignore=tests/codec --ignore=tests/wire --ignore=tests/turn

bench: $(VENV)/.dev
	$(BIN)/python -m pytest -q -p benchmark -o addopts='--import-mode=importlib' -o python_files='bench_*.py' benches

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
		--extra local --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) build dist src/*.egg-info
	find src ext -name '*.so' -delete -o -name '*.c' -delete

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo 'voice_ai needs Python 3.11, 3.12 or 3.13: none found; name one: make PYTHON=/path/to/python' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Our own package comes last, without its dependencies: those are the locked ones.
$(VENV)/.run: requirements.lock $(BUILT) | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@
