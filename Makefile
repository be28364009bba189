# The two commands: `make up` runs the main job, `make test` passes the tests.
# A distribution's Python was built with a profile: a third faster than one made by default (0020).
PYTHON ?= $(shell /usr/bin/python3.11 -c "import ensurepip, venv" 2>/dev/null && echo /usr/bin/)python3.11
BIN := .venv/bin

# Some machines forbid Python to keep what it compiled; then each of the suite's processes compiles the
# whole program anew, twice the work of its start.
unexport PYTHONDONTWRITEBYTECODE

# The page is built into the package, anew when its sources changed; `hatch_build.py` says how.
WEB := $(shell find web -path web/node_modules -prune -o -type f -print)
PAGE := src/motorcade/dashboard/page/index.html
KERNELS := $(shell find src/motorcade -name kernels.py) src/motorcade/compiled.py src/motorcade/kernel_cache.py

.PHONY: setup up test lint types bench bench-short kill-audit link-audit torture faults mutants mutants-short pages fuzz lock clean page pictures

KILLS ?= 20
WORKERS ?= 4
COMMANDS ?= 10000
FAULTS ?= 500
SEED ?= 1
FUZZ_S ?= 600

setup: .venv/.compiled $(PAGE)

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/.compiled: .venv/.installed $(KERNELS)
	$(BIN)/python -m motorcade.compiled
	touch $@

$(PAGE): .venv/.installed $(WEB) hatch_build.py
	$(BIN)/python hatch_build.py

page: $(PAGE)

up: setup
	$(BIN)/motorcade demo

test: setup
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed web/node_modules/.checked
	$(BIN)/mypy

web/node_modules/.checked: .venv/.installed $(WEB)
	$(BIN)/python hatch_build.py check
	touch $@

bench: setup
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.telemetry
	$(BIN)/python -m benchmarks.commands
	$(BIN)/python -m benchmarks.overload
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.log
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.vehicle_data
	$(BIN)/python -m benchmarks.history

bench-short: setup
	$(BIN)/python -m benchmarks.ingest --seconds 2 --rounds 1 --check

kill-audit: setup
	$(BIN)/python -m tests.audit.kill_audit --kills $(KILLS)

link-audit: setup
	$(BIN)/python -m tests.audit.link_audit --commands $(COMMANDS)

faults: setup
	$(BIN)/python -m tests.faults

mutants: setup
	$(BIN)/python -m tests.mutation

mutants-short: setup
	$(BIN)/python -m tests.mutation --short

pages: setup
	$(BIN)/python -m motorcade.cli.pages docs

pictures: setup
	$(BIN)/python -m tests.dashboard.pictures docs/pictures

torture: setup
	$(BIN)/python -m tests.audit.torture --faults $(FAULTS) --seed $(SEED)

fuzz: setup
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S)

lock:
	$(BIN)/pip-compile --quiet --extra dev --extra kafka --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml

clean:
	rm -rf .venv
