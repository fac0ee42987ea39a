# minios: `make matrix` builds every image; `make help` lists the rest.
# ARGS are handed on: make matrix ARGS="--arch x86_64"

ARGS ?=
BIN := .venv/bin
# A process for each core, up to four; `make test SIDE_BY_SIDE=` has one.
SIDE_BY_SIDE ?= -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: matrix test test-unit lint bench clean help

matrix: ## build all configured images and write the multi-arch image layout
	@./bootstrap.sh build
	@$(BIN)/minios matrix $(ARGS)

test: ## lint, then every test (installs what they need)
	@./bootstrap.sh test
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/unit $(ARGS)
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/system tests/integration $(ARGS)

test-unit: ## the tests that need no network, daemon or compiler
	@./bootstrap.sh venv
	$(BIN)/pytest $(SIDE_BY_SIDE) tests/unit $(ARGS)

lint: ## formatting, style and types
	@./bootstrap.sh venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: ## times and memory, each against other people's ways on the same machine
	@./bootstrap.sh test
	$(BIN)/python tests/bench/run.py $(ARGS)

clean: ## stop a running master; remove what was built, kept and installed here, secrets and invited workers too
	@if [ -x $(BIN)/minios ] && [ -e .state/run.json ]; then $(BIN)/minios down --state .state; fi
	rm -rf out .state build dist *.egg-info .venv .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1@/p' $(MAKEFILE_LIST) | while IFS=@ read -r name what; do printf '%-20s%s\n' "$$name" "$$what"; done
