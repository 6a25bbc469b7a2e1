# `make help` lists the targets. Needs git, make and uv; without uv it is installed into .uv/ here.
SHELL := /bin/bash
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --no-sync
# Extras to install too: `make test EXTRAS="--extra train"` tests training and the native back ends as well (5.7 GB more).
EXTRAS ?=
# Compiled modules are kept: a process starts in a third of the time, and the system is a dozen of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up test check faults bench screens profile web lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 12

demo: .venv/.ready ## Watch a living ward: starts everything, opens the browser, Ctrl-C ends it
	@exec .venv/bin/vigil demo

up: .venv/.ready ## Start the whole stack for your own devices
	@exec .venv/bin/vigil up

test: .venv/.synced .venv/.browser ## Run the test suite (real Kafka, real PostgreSQL, real browser)
	@$(RUN) pytest -n 4 --dist loadfile -m "not faults and not docker and not screens and not profile"

# mypy has one core; on the other pytest compiles the tests meanwhile, which four processes would do at the same time otherwise.
check: .venv/.synced .venv/.browser ## Everything CI runs: lint, types, the page, tests
	@$(RUN) ruff check .
	@$(RUN) pytest --collect-only -q > /dev/null 2>&1 & $(RUN) mypy && wait
	@infra/ci/check_web.sh
	@$(MAKE) --no-print-directory test

faults: .venv/.synced ## Long runs that kill real processes
	@$(RUN) pytest -m faults -p no:xdist

bench: .venv/.synced ## Measure throughput, latency and cost on this machine, rivals beside it
	@for name in engine latency gateway series models growth; do echo "== $$name"; $(RUN) vigil bench $$name || exit 1; done

screens: .venv/.synced .venv/.browser ## Every journey through the page on every screen, and axe
	@$(RUN) pytest -m screens -p no:xdist tests/browser

profile: .venv/.synced .venv/.browser ## Measure what a wall of 64 beds costs a browser, now and over twelve hours
	@$(RUN) pytest -m profile -p no:xdist -s tests/browser

web: ## Build the page (needs Node; the built page is committed)
	@cd api/web && npm install --no-save --no-audit --no-fund && npm run build

lock: ## Resolve the dependencies anew
	@$(UV) lock

clean: ## Remove the environment; your data is kept
	@rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache

.venv/.ready: pyproject.toml uv.lock | $(UV)
	@echo "Setting up Python packages (the first time takes a minute)…"
	@$(UV) sync --locked --quiet --no-dev --inexact $(EXTRAS)
	@touch $@

.venv/.synced: pyproject.toml uv.lock | $(UV)
	@echo "Setting up Python packages and the tools for tests…"
	@$(UV) sync --locked --quiet $(EXTRAS)
	@touch $@ .venv/.ready

.venv/.browser: | .venv/.synced
	@infra/ci/install_browser.sh
	@touch $@

.uv/bin/uv:
	@python3 -m venv .uv && .uv/bin/pip install --quiet uv
