# The one runner: `make help` lists what it can do. Nothing but make, python3 and (for setup) apt is needed.
PYTHON ?= python3
PORT ?= 8000
ROOT ?= examples/hello
PREFIX ?= /opt/howdah

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# hw_states.h is written by tools/generate_states.py.
C_FILES := $(filter-out native/hw_states.h,$(wildcard native/*.[ch] tests/native/*.[ch]))

# What runs all of the C that touches PHP; whole applications and what is Python's alone would only take long.
ASAN_TESTS := tests/php/worker tests/security/test_isolation.py $(addsuffix .py,$(addprefix tests/php/test_, \
  access_entries access_lines back_pressure children_and_locale environment finish_and_abort opcache_wipe requests runtime_api sessions \
  slowlog_backtraces thread_life timeouts_worker))

ASAN_PYTEST := tools/asan_python.sh -m pytest -q -p no:randomly --timeout=300 -m 'not browser and not network'
# Tests with PHP measure time on machines that do other things, too. What fails gets a second run, and the first one
# stays to be read: a test that passes only then is a defect to be looked for, in the server first.
AGAIN := echo "== what failed runs once more; look into it all the same"

.DEFAULT_GOAL := help
.PHONY: help setup packages tools install serve test lint format types unit native php asan stress bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# -- set up --------------------------------------------------------------------------------------
setup: tools ## install what is missing, build PHP (once, some minutes) and the extension
	@php_config=$$($(PYTHON) tools/build_php.py) && $(BIN)/python tools/install_extension.py --php-config "$$php_config"

# Not the .venv of `make setup`: that one belongs to this checkout, and is built anew when the sources change.
install: packages ## install for production into PREFIX (default /opt/howdah): PHP, a virtual environment, Howdah
	@php_config=$$(HOWDAH_CACHE=$(PREFIX) $(PYTHON) tools/build_php.py) \
	  && { [ -x $(PREFIX)/venv/bin/pip ] || $(PYTHON) -m venv $(PREFIX)/venv; } \
	  && HOWDAH_PHP_CONFIG="$$php_config" $(PREFIX)/venv/bin/pip install --quiet . \
	  && $(PREFIX)/venv/bin/howdah version

packages:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Howdah needs Python 3.11 or newer as $(PYTHON). Another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) tools/apt_packages.py

tools: .venv/.complete

.venv/.complete: pyproject.toml | packages
	@$(PYTHON) tools/create_venv.py .venv

# -- run -----------------------------------------------------------------------------------------
serve: setup ## serve ROOT (default examples/hello) on PORT (default 8000)
	@$(BIN)/howdah php-server --root $(ROOT) --listen 127.0.0.1:$(PORT)

# -- check ---------------------------------------------------------------------------------------
test: ## everything but asan, stress and bench: lint types unit native setup php
	@$(PYTHON) tools/run_phases.py lint types unit native setup php

lint: tools ## style, layers, line limits, header rule
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/clang-format --dry-run -Werror $(C_FILES)
	@$(BIN)/python tools/check_layout.py
	@$(BIN)/python tools/check_imports.py
	@$(BIN)/python tools/generate_states.py --check
	@$(BIN)/python tools/generate_reference.py --check

format: tools ## let the formatters rewrite Python and C
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/clang-format -i $(C_FILES)

types: tools ## mypy, strict, on sources, tests and tools
	@$(BIN)/mypy

unit: tools ## tests that need neither PHP nor the extension
	@$(PYTEST) -q tests/unit tests/fuzz

native: tools ## tests of the pure C parts under ASan, UBSan and TSan
	@$(BIN)/python tests/native/run.py

php: setup ## tests with PHP: integration, security, and the stub against the extension
	@$(BIN)/python -m mypy.stubtest howdah._native --mypy-config-file pyproject.toml
	@$(PYTEST) -q tests/php tests/security || { $(AGAIN); $(PYTEST) -q --lf tests/php tests/security; }

asan: tools ## the tests with PHP again, on a PHP and an extension built with AddressSanitizer
	@php_config=$$($(PYTHON) tools/build_php.py --flavour asan) \
	  && $(BIN)/python tools/install_extension.py --flavour asan --php-config "$$php_config"
	@$(ASAN_PYTEST) $(ASAN_TESTS) || { $(AGAIN); $(ASAN_PYTEST) --lf $(ASAN_TESTS); }

stress: setup ## many parallel requests for a long time; among them ten minutes of chaos (HOWDAH_CHAOS_SECONDS, HOWDAH_CHAOS_SEED)
	@$(PYTEST) -q --timeout=900 -o faulthandler_timeout=890 -m stress tests/stress

bench: setup ## Howdah against nginx + PHP-FPM; prints CPU per request
	@$(BIN)/python benchmarks/run.py

clean: ## remove what was built in the checkout (the cached PHP stays)
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
