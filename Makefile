# `make` without a target lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NODE := .node/.installed

STATE ?= .itwin-export
PORT ?= 4200
DB ?= sqlite

# Without it each of the many processes of the tests compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install system node demo up down test crash campaign pictures bench bench-batch check licences fix lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Install everything into .venv, hashes checked
$(INSTALLED): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

node: $(NODE) ## Install the npm packages of the demo, the tests and the viewer (Azurite, CesiumJS)
$(NODE): $(INSTALLED) deployments/node/package.json deployments/node/package-lock.json
	$(BIN)/python -m deployments.node_tools
	@mkdir -p $(@D) && touch $@

demo: $(INSTALLED) $(NODE) ## Export two IFC files from a stand-in platform on this machine
	$(BIN)/itwin-export demo

up: $(INSTALLED) ## Start a Prefect server, UI, worker and every deployment here (PORT=4200 DB=sqlite|postgres)
	$(BIN)/python -m deployments.local up --port $(PORT) --database $(DB) --state-dir $(STATE)

down: $(INSTALLED) ## Stop everything that `make up` started
	$(BIN)/python -m deployments.local down --state-dir $(STATE)

system: ## Install the Debian packages that the tests need (Chromium, PostgreSQL, Redis, Mesa), where they are absent
	tests/system_packages.sh

test: system $(INSTALLED) $(NODE) ## Run every test that must pass, four files at a time
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --durations 15

crash: $(INSTALLED) $(NODE) ## Kill the export at every step, restart its server, fill its disk, let it sleep (an hour)
	$(BIN)/pytest -m crash -n 2 --dist loadfile --no-loadscope-reorder

campaign: $(INSTALLED) $(NODE) ## Test 200 schedules of faults on a disk and in object stores, 50 of kills, long downloads of tilesets, readers with made-up input (two hours)
	$(BIN)/pytest -m campaign
	$(BIN)/pytest tests/deployments/sandbox/api/test_conformance.py --hypothesis-profile campaign
	$(BIN)/pytest tests/flows/test_fault_schedules.py --seeds 200
	$(BIN)/pytest -m crash tests/processes/test_crash_released.py -k survive_kills --seeds 50

pictures: system $(INSTALLED) $(NODE) ## Take pictures of the Prefect UI and of the viewer after real runs, for people to read
	$(BIN)/pytest -m campaign tests/deployments/local/test_screenshots.py
	$(BIN)/pytest tests/processes/test_viewer.py

bench: $(INSTALLED) $(NODE) ## Measure downloads side by side (needs nginx, libnginx-mod-http-headers-more-filter, rclone)
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.big_file
	$(BIN)/python -m tests.benchmarks.into_a_store
	$(BIN)/python -m tests.benchmarks.ifc_content
	$(BIN)/python -m tests.benchmarks.tileset_content

bench-batch: system $(INSTALLED) ## Measure a thousand iModels on SQLite and on PostgreSQL (half an hour)
	$(BIN)/python -m tests.benchmarks.batch

check: $(INSTALLED) ## Run linters, type checker, import rules and hooks (what a commit must pass)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pre-commit run --all-files --show-diff-on-failure

licences: $(INSTALLED) ## List the licences of what ships (`make check` compares them with those that are accepted)
	$(BIN)/pip-licenses --packages $$(grep -oE '^[A-Za-z0-9._-]+' requirements.txt)

fix: $(INSTALLED) ## Apply the fixes and the format of ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Renew the hash-locked requirements from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras \
		--extra preview pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras \
		-c requirements.txt --extra preview --extra sandbox --extra acceptance --extra dev pyproject.toml -o requirements-dev.txt

clean: ## Remove what the targets installed and built
	rm -rf $(VENV) .node build *.egg-info tests/artefacts
