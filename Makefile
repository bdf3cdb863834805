# Six verbs a day; each is one line of README.md.
# PYTHON=  another interpreter (>= 3.11)   CITY= PORT= NO_SERVE=1 SCALE=  for `make demo`   NAME=  for `make bench`

PYTHON ?= python3
CITY ?= demo
PORT ?= 8000
SCALE ?= 25000
VENV := .venv
BIN := $(VENV)/bin
COMPILE := $(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11
STAMPS := $(VENV)/stamps
DIST := server/viewer/dist/index.html
KHRONOS := tiles/checks/node_modules/.package-lock.json
CLIENTS := tests/clients/node_modules/.package-lock.json
VIEWER := $(shell find server/viewer -path '*/node_modules' -prune -o -path '*/dist' -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := quick
.PHONY: lock quick test demo bench build format lint viewer clean

quick: $(STAMPS)/test lint          ## format, lint, types, contracts, fast tests
	$(BIN)/python -m pytest -q -n 2 -m "not real and not browser and not slow"

test:                               ## everything; what CI runs
	./.ci/system-packages
	$(MAKE) --no-print-directory $(STAMPS)/test viewer $(KHRONOS) $(CLIENTS) lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

demo: $(STAMPS)/run viewer          ## the sample city, from nothing to a served page
	$(BIN)/twin demo "$(CITY)" --scale $(SCALE) --port $(PORT) $(if $(NO_SERVE),--no-serve)

bench: $(STAMPS)/test               ## one figure by NAME, as JSON; all of them without
	$(BIN)/python -m bench $(NAME)

build: $(STAMPS)/test viewer        ## a wheel with the six packages
	$(BIN)/python -m build --wheel

lint: $(STAMPS)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMPS)/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

viewer: $(DIST)

$(DIST): $(VIEWER) | $(STAMPS)/run
	PATH="$$(./.ci/node-path):$$PATH" sh -c 'cd server/viewer && npm ci --no-audit --no-fund && npm run build'
	touch $@

$(KHRONOS): tiles/checks/package-lock.json | $(STAMPS)/run
	PATH="$$(./.ci/node-path):$$PATH" sh -c 'cd tiles/checks && npm ci --no-audit --no-fund'
	touch $@

$(CLIENTS): tests/clients/package-lock.json | $(STAMPS)/run
	PATH="$$(./.ci/node-path):$$PATH" sh -c 'cd tests/clients && npm ci --no-audit --no-fund --ignore-scripts'
	touch $@

$(STAMPS)/venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pingcheng needs Python 3.11 or newer; make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: requirements.lock pyproject.toml | $(STAMPS)/venv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

$(STAMPS)/test: requirements-test.lock | $(STAMPS)/run
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-test.lock
	touch $@

lock: $(STAMPS)/venv                ## the lock files anew from pyproject.toml
	$(COMPILE) pyproject.toml --group build -o requirements.lock
	$(COMPILE) pyproject.toml --group build --group test -c requirements.lock -o requirements-test.lock
	$(COMPILE) --group node -o requirements-node.lock

clean:
	rm -rf $(VENV) build *.egg-info server/viewer/dist server/viewer/node_modules tiles/checks/node_modules tests/clients/node_modules artifacts
