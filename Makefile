# Each target makes the environment that it needs: Python 3.11 or later and make are enough.
# Packages are installed by uv where it is on PATH, else by pip; neither compiles bytecode that is
# never imported.
PYTHON ?= python3
BIN := .venv/bin

# $(call environment,FOLDER,LOCK): an environment in FOLDER with the packages of LOCK and this working tree.
define environment
@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.13" if sys.version_info < (3, 11) else 0)'
@set -e; if command -v uv > /dev/null; then \
  uv venv --quiet --seed --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(1); \
  uv pip install --quiet --python $(1) --require-hashes -r $(2); \
  uv pip install --quiet --python $(1) --no-deps --no-build-isolation -e .; \
else \
  $(PYTHON) -m venv $(1); \
  $(1)/bin/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $(2); \
  $(1)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
fi
@touch $(1)/.installed
endef

.PHONY: demo kernels test test-silent test-faults test-benchmarks test-browser test-compose secrets libraries certify check lint types contracts docs site bench load lock clean

demo: .venv-demo/.installed  ## real portfolios on real prices through real workers
	.venv-demo/bin/risk-tasks demo

kernels: .venv/.installed  ## compile the kernels that this machine lacks: half a minute, once
	@$(BIN)/python -m risk_tasks.kernels

# Long files first: the short ones fill the gaps at the end.
test: .venv/.installed kernels  ## unit, certification and integration tests, spoilt inputs
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests/integration tests/silent tests/certification tests/unit

test-silent: .venv/.installed kernels  ## spoilt inputs through every door; FULL=1 for sixty worlds each
	$(BIN)/pytest tests/silent $(if $(FULL),--full)

test-faults: .venv/.installed kernels  ## kills, floods and restarts; FULL=1 for the full size, half an hour
	$(BIN)/pytest tests/faults $(if $(FULL),--full)

test-benchmarks: .venv/.installed kernels  ## the programs that measure, at a small size
	$(BIN)/pytest tests/benchmarks

test-browser: site  ## the documentation site in Chromium
	$(BIN)/pytest tests/browser

test-compose: .venv/.installed  ## the containers, with a Docker engine; FULL=1 for full loads
	@$(BIN)/python -m tests.compose $(if $(FULL),--full)

secrets:  ## make the passwords of the stack that are missing, in secrets/
	@sh deploy/secrets.sh

libraries: .venv/.installed  ## the environment of other risk libraries, for `certify`
	$(BIN)/python -m benchmarks.libraries.environment

certify: libraries  ## compare our numbers with published ones and with other libraries
	$(BIN)/pytest tests/certification

check: lint types contracts test  ## what must pass before a change lands

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

contracts: .venv/.installed
	$(BIN)/lint-imports --no-logo

docs: .venv/.installed  ## write the parts of the documentation that come from the code
	$(BIN)/python -m docs.generate

site: .venv/.site  ## the documentation site, in build/site
	$(BIN)/python -m docs.mermaid
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/site

bench: .venv/.installed  ## measure; writes build/bench/*.json
	$(BIN)/python -m benchmarks

load: .venv/.installed  ## test every target under load; writes build/bench/load.html
	@mkdir -p build/bench
	$(BIN)/python tests/risk_engine_load_test.py --max-requests-per-user 5000 --concurrent-users 10 \
	  --target-response-time 100ms --validate-optimizations --report build/bench/load.html

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate
# The images install parts of requirements.lock. Flower imports neither Arrow nor NumPy, the
# autoscaler no Arrow.
LOCK_PART = $(LOCK) -c requirements.lock
NO_ARROW = --no-emit-package pyarrow
NO_ARRAYS = $(NO_ARROW) --no-emit-package numpy

lock: .venv/.installed  ## resolve all dependencies again, for Python 3.11 and later
	$(BIN)/pip install --quiet uv==0.13.9
	$(LOCK) --upgrade --all-extras pyproject.toml -o requirements.lock > /dev/null
	$(LOCK_PART) --extra cli pyproject.toml -o deploy/locks/cli.lock > /dev/null
	$(LOCK_PART) --extra worker pyproject.toml -o deploy/locks/worker.lock > /dev/null
	$(LOCK_PART) --extra beat pyproject.toml -o deploy/locks/beat.lock > /dev/null
	$(LOCK_PART) --extra http pyproject.toml -o deploy/locks/gateway.lock > /dev/null
	$(LOCK_PART) --extra cli $(NO_ARRAYS) pyproject.toml -o deploy/locks/core.lock > /dev/null
	$(LOCK_PART) --extra flower $(NO_ARRAYS) pyproject.toml -o deploy/locks/flower.lock > /dev/null
	$(LOCK_PART) --extra autoscaler $(NO_ARROW) pyproject.toml -o deploy/locks/autoscaler.lock > /dev/null
	printf 'hatchling\neditables\n' | $(LOCK_PART) --extra embedded pyproject.toml - -o requirements-demo.lock > /dev/null
	$(LOCK_PART) docs/requirements.in -o docs/requirements.lock > /dev/null
	echo hatchling | $(LOCK_PART) - -o deploy/locks/build.lock > /dev/null
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --upgrade --no-emit-index-url --no-header --no-annotate \
	  benchmarks/libraries/requirements.in -o benchmarks/libraries/requirements.txt > /dev/null

.venv/.installed: requirements.lock pyproject.toml
	$(call environment,.venv,requirements.lock)

.venv-demo/.installed: requirements-demo.lock pyproject.toml
	$(call environment,.venv-demo,requirements-demo.lock)

.venv/.site: .venv/.installed docs/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r docs/requirements.lock
	@touch $@

clean:
	rm -rf .venv .venv-demo build dist
