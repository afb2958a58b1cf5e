# Everything a developer or an operator does here; `make help` explains.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export UV_PYTHON_DOWNLOADS := never
# Whoever sets this in a container image has tests in mind that run once: here each of them starts processes.
export PYTHONDONTWRITEBYTECODE :=
# What runs from .venv finds its programs (python3.13 for SAM, uv for the layer) there first.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

PYTHON_CODE := src backend local tests benchmarks tools
REGION ?=
AGENT ?=
STACK ?=
EVENT ?= events/schedule.json
VERSION ?=

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## ---- set-up -------------------------------------------------------------------------------------

.PHONY: setup
setup: .venv/.ready ## Make .venv (Python 3.13 where there is one) with everything locked

# uv from the PATH, or its own small environment in .tools, made with any Python from 3.11 on.
.tools/bin/uv:
	@for python in python3.13 python3.12 python3.11 python3 /usr/bin/python3; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "setting up with $$($$python --version)"; \
	    $$python -m venv .tools && .tools/bin/python -m pip install -q --disable-pip-version-check uv && exit 0; \
	  fi; \
	done; echo "needs Python 3.11 or newer with its venv module (Debian: apt-get install python3-venv)" >&2; exit 1

UV := $(shell PATH="$(subst $(CURDIR)/.venv/bin:,,$(PATH))" command -v uv || echo .tools/bin/uv)

.venv/.ready: requirements-dev.txt .python-version | $(filter .tools/bin/uv,$(UV))
	@$(UV) venv -q --clear --python 3.13 .venv 2>/dev/null || $(UV) venv -q --clear --python '>=3.11' .venv
	@$(UV) pip sync -q --compile-bytecode --python .venv --require-hashes requirements-dev.txt
	@echo ".venv is ready: $$(.venv/bin/python --version)"
	@touch $@

.PHONY: lock
lock: setup ## Resolve the locked requirements anew (after changing a requirements*.in)
	@compile="$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header"; \
	$$compile requirements-dev.in -o requirements-dev.txt; \
	sed 's/ *\\$$//; /--hash/d' requirements-dev.txt | grep -E '^[a-z]' > .cache-constraints.txt; \
	$$compile layers/dependencies/requirements.in -c .cache-constraints.txt -o layers/dependencies/requirements.txt; \
	for alone in benchmarks/requirements-custodian tools/checkov/requirements requirements-docs requirements-release; do \
	  $$compile $$alone.in -o $$alone.txt; \
	done; \
	rm .cache-constraints.txt

.PHONY: models
models: setup ## Write the part of AWS's service models that the functions bring (after make lock)
	@PYTHONPATH=src python -m tools.api_models

## ---- run it here ---------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Play the three acceptance scenarios, and three more, on embedded parts
	@PYTHONPATH=src python -m local.demo

.PHONY: local
local: setup ## Start the embedded stack and leave it up; prints how to invoke the functions on it
	@PYTHONPATH=src python -m local.up $(if $(LISTEN),--listen $(LISTEN)) $(if $(AWS_PORT),--aws-port $(AWS_PORT)) $(if $(BACKEND_PORT),--backend-port $(BACKEND_PORT))

.PHONY: invoke
invoke: setup ## Invoke a function on the stack that `make local` started (EVENT=events/..., FUNCTION=...)
	@PYTHONPATH=src python -m local.run $(EVENT) $(if $(FUNCTION),--function $(FUNCTION))

.PHONY: sam-build
sam-build: setup ## Build for `sam local` on this machine, beside what `make deploy` builds
	@PYTHONPATH=src python -m local.sam.build

.PHONY: sam-local
sam-local: setup ## Invoke each sample event in Lambda's container, beside a stack of its own; shows what changed
	@PYTHONPATH=src python -m local.sam

.PHONY: sam-memory
sam-memory: setup ## Measure in Lambda's container, at the template's memory limits; writes docs/performance/memory.json
	@PYTHONPATH=src python -m local.sam.memory

.PHONY: doctor
doctor: setup ## Examine the function on that stack, or on one of its own: what keeps it from working
	@PYTHONPATH=src python -m local.doctor

.PHONY: dashboard
dashboard: setup ## Draw the template's dashboards from a local week: pages in build/, pictures in docs/
	@PYTHONPATH=src python -m tools.dashboard_preview

.PHONY: configuration
configuration: setup ## Write docs/configuration.md: every parameter and variable, from the templates and the code
	@PYTHONPATH=src python -m tools.configuration

## ---- check it ------------------------------------------------------------------------------------

.PHONY: test
test: setup lint types ## All checks and tests; the long ones in a small sample (make soak: in full)
	@python -m pytest -n auto -q

.PHONY: soak
soak: setup ## The long fault and crash tests, hours; writes docs/reliability.md (SOAK_SECONDS=600: ten minutes)
	@SOAK=1 python -m pytest tests/reliability -n 3 -q --timeout 36000
	@SOAK=1 python -m pytest tests/property/test_random_inventories.py tests/integration/test_housekeeping_random.py tests/sam_local -q --timeout 1800

.PHONY: mutants
mutants: setup ## Change the code in small ways and list what the fast tests do not notice (MUTANTS="--sample 40")
	@python -m tools.mutants $(MUTANTS)

# What only one target needs has an environment of its own, so that `make setup` stays quick: Cloud Custodian, a peer that
# the benchmarks run beside; checkov, which pins half of the development packages; the docs' tools; a release's tools.
.cache/custodian/.ready: benchmarks/requirements-custodian.txt
.cache/checkov/.ready: tools/checkov/requirements.txt
.cache/docs/.ready: requirements-docs.txt
.cache/release/.ready: requirements-release.txt
.cache/%/.ready: .venv/.ready
	@$(UV) venv -q --clear --python .venv/bin/python .cache/$*
	@$(UV) pip sync -q --python .cache/$* --require-hashes $(filter %.txt,$^)
	@touch $@

.PHONY: bench
bench: setup .cache/custodian/.ready ## Measure beside the peers; writes docs/performance.md (BENCH="idle burst": only these)
	@PYTHONPATH=src python -m benchmarks $(BENCH)

.PHONY: docs
docs: setup .cache/docs/.ready ## Build the docs as a site in build/site, every link checked
	@NO_MKDOCS_2_WARNING=1 .cache/docs/bin/mkdocs build --strict
	@python -m tools.site_check build/site

.PHONY: lint
lint: setup ## ruff: rules and format
	@ruff check -q $(PYTHON_CODE) && ruff format -q --check $(PYTHON_CODE) && echo "ruff: clean"

.PHONY: types
types: setup ## mypy, strict
	@mypy $(PYTHON_CODE)

.PHONY: format
format: setup ## Format, and mend what ruff can
	@ruff check -q --fix $(PYTHON_CODE); ruff format -q $(PYTHON_CODE)

## ---- build and deploy ----------------------------------------------------------------------------

# REGION names a block of samconfig.toml; without it the known ones are listed.
.PHONY: validate
validate: setup ## Lint the templates
	@sam validate --lint && cfn-lint template.yaml monitoring.yaml

.PHONY: checkov
checkov: setup .cache/checkov/.ready ## Have checkov judge the transformed templates; each exception is explained
	@python -m tools.checkov

.PHONY: build
build: setup ## Build the function and the layer
	@sam build --cached --parallel

.PHONY: token
token: setup ## Put the client token into SSM, read from the keyboard (REGION=us-east-1 AGENT=agent-1)
	@python -m tools.stacks token "$(REGION)" --agent "$(AGENT)"

.PHONY: deploy
deploy: setup ## Build and deploy a stack of samconfig.toml (REGION=us-east-1)
	@python -m tools.stacks deploy "$(REGION)"

.PHONY: dry-run
dry-run: setup ## Deploy the same beside it as a stack that only plans (REGION=us-east-1)
	@python -m tools.stacks dry-run "$(REGION)"

.PHONY: verify
verify: setup ## Does a deployed stack work? Asks AWS and changes nothing (REGION=us-east-1 STACK=another's name)
	@PYTHONPATH=src python -m tools.verify "$(REGION)" $(if $(STACK),--stack "$(STACK)")

.PHONY: destroy
destroy: setup ## Delete a stack, once you have confirmed; its log stays (REGION=us-east-1)
	@python -m tools.stacks destroy "$(REGION)"

.PHONY: stack-set-template
stack-set-template: setup ## Build a template without transform and nested stack, for StackSets (BUCKET=...)
	@python -m tools.stack_set "$(BUCKET)"

.PHONY: release
release: setup .cache/release/.ready ## Check, build into build/release, describe what is shipped, tag (VERSION=1.0.0)
	@python -m tools.release "$(VERSION)"

.PHONY: clean
clean: ## Remove everything that was made here
	@rm -rf .venv .tools .aws-sam .runtime .cache build .pytest_cache .mypy_cache .ruff_cache .hypothesis
