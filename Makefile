# Needs make and Python 3.11 to 3.14; everything else comes into .venv, every file checked against its hash.
#   make demo [ARGS="--serve"]   the whole path on your machine: an issue becomes a pull request, see demo-output/
#   make test | lint | proof     the fast tests | style, types, floors, documents, workflows | the slow tests
#                                proof CORPUS=PATH also replays commits of the repositories in that folder, and runs on their roots
#   make bench                   figures against other tools, in the same run, into bench/results.md
#   make wheelhouse              the action's requirements as files, for runners that reach no package index
#   make docs | site | lock      write the generated documents | build the documentation site | lock the requirements
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo images test lint proof bench docs site lock wheelhouse dist clean

VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
CORPUS ?=
WORKERS ?= 2
PIP := $(PY) -I -m pip --disable-pip-version-check install --quiet --no-input --require-hashes --no-deps --only-binary :all:

help:
	@sed -n '2,10s/^#   //p' Makefile

demo: $(VENV)/.installed-demo
	@$(PY) -m ops_agent_demo $(ARGS)

# The README's picture, from the last demo; needs Chromium.
images:
	chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-sync --hide-scrollbars \
	  --user-data-dir="$$(mktemp -d)" --window-size=1100,1400 --screenshot=docs/images/pull-request.png \
	  "file://$$(ls $(CURDIR)/demo-output/github/DrivvenConsulting/orders/pull/*.html | head -1)"

test: $(VENV)/.installed-test
	$(PY) -m pytest -n $(WORKERS) --dist loadscope -m "not proof" $(ARGS)

proof: $(VENV)/.installed-test
	OPS_AGENT_EXPLORE=1 CORPUS="$(CORPUS)" $(PY) -m pytest -n $(WORKERS) --dist loadscope -m proof --timeout 1800 $(ARGS)

bench: $(VENV)/.installed-bench
	$(PY) -m bench $(ARGS)

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) docs/generate.py --check
	$(VENV)/bin/actionlint .github/workflows/*.yml examples/*.yml
	$(VENV)/bin/zizmor --offline --persona=auditor --no-progress --quiet action.yml docker/action.yml .github examples/*.yml

docs: $(VENV)/.installed-test
	$(PY) docs/generate.py
	UPDATE_GOLDEN=1 $(PY) -m pytest -q -n 0 tests/rules/test_rules_page.py

# Strict: a broken link or anchor, or a page that the navigation lacks, fails the build.
site: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet --site-dir site $(ARGS)

# A lock is for all supported Pythons and platforms at once; the wider ones keep the versions of the narrower one.
# The runtime leaves out what no code of ours reaches (docs/decisions/0001-dependencies.md).
# Versions younger than a week wait, but for those in URGENT (`make lock URGENT="anthropic cryptography"`). Needs uv.
URGENT ?=
UNUSED := --no-emit-package cryptography --no-emit-package pycparser
lock:
	for name in runtime mcp build container demo test bench docs; do \
	  case $$name in \
	    runtime) from="pyproject.toml $(UNUSED)" ;; \
	    mcp) from="requirements/mcp.in --no-emit-package pycparser --constraint requirements/runtime.txt" ;; \
	    build) from="requirements/build.in" ;; \
	    docs) from="requirements/docs.in --constraint requirements/test.txt" ;; \
	    container) from="pyproject.toml --extra embedded $(UNUSED) --constraint requirements/runtime.txt" ;; \
	    *) from="pyproject.toml --extra $$name --constraint requirements/runtime.txt" ;; \
	  esac; \
	  PATH="$(CURDIR)/$(VENV)/bin:$$PATH" uv pip compile --quiet $$from \
	    --exclude-newer "$$(date -u -d '7 days ago' +%F)" $(foreach package,$(URGENT),--exclude-newer-package "$(package)=$$(date -u -d tomorrow +%F)") \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --upgrade \
	    --custom-compile-command "make lock" --output-file requirements/$$name.txt; \
	done

# For this machine's Python; MACHINE=aarch64 (or x86_64) and PYTHON_VERSION=3.12 for another one.
MACHINE ?=
PYTHON_VERSION ?=
wheelhouse: | $(PY)
	$(PY) -I -m pip download --disable-pip-version-check --quiet --no-input --require-hashes --no-deps --only-binary :all: \
	  $(if $(MACHINE),$(foreach libc,2014 _2_17 _2_24 _2_28,--platform manylinux$(libc)_$(MACHINE))) \
	  $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION)) --dest wheelhouse $(ARGS) -r requirements/runtime.txt -r requirements/mcp.txt

dist: $(VENV)/.installed-build
	rm -rf dist
	$(PY) -I -m hatchling build

clean:
	rm -rf $(VENV) dist site wheelhouse demo-output .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(PY):
	@for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	  if command -v $$name >/dev/null && $$name -I -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$name --version)"; exec $$name -I -m venv $(VENV); \
	  fi; \
	done; echo "Python 3.11 to 3.14 with venv is needed; found none (Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1

# The project itself is on the path, not installed: no build runs, and an edit counts at once.
$(VENV)/.installed-%: requirements/%.txt | $(PY)
	@echo "Installing requirements/$*.txt into $(VENV) (once; one to two minutes on a cold cache)"
	@$(PIP) -r $<
	@echo "$(CURDIR)/src" > "$$($(PY) -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ops_agent.pth"
	@touch $@
