# Without make: packaging/setup.sh run && .venv/bin/baton-window
venv_python := .venv/bin/python
pytest := QT_QPA_PLATFORM=offscreen $(venv_python) -m pytest
# A process for each core, but not more than the memory for real models allows; each test file runs in one of them, so
# that what a module sets up is set up once. Slow files come first in their folders' order, not by their number of tests.
# A crash ends the run and names the test: with another process in its place, xdist 3.8 waits for ever for the rest of
# the file.
parallel := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help run setup clean quick test test-long test-windows coverage check setup-tests screenshots lock check-server \
	real-pair real-evidence check-catalog test-gpu gpu-check bench soak frozen frozen-windows demo-pair

##@ Use
help: ## List what make can do
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) ":" } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

run: setup ## Set everything up, then open the window
	@$(venv_python) -m baton_reasoning.app

setup: ## Set up .venv for the program
	@packaging/setup.sh run

clean: ## Remove .venv and everything that was built
	rm -rf .venv .venv-frozen .windows build dist *.egg-info .mypy_cache .ruff_cache

##@ Develop
quick: setup-tests ## Run the tests without real models and other programs: half a minute
	@$(pytest) $(parallel) -m "not slow and not long and not real_models"

test: setup-tests ## Run all tests but the long ones; set-up is included
	@$(pytest) $(parallel) --durations 20

# Hundreds of problems, the commands of the docs, every size of window with every theme, all policies on real models,
# wheels, and 1,000 draws of each randomised test instead of 20.
test-long: setup-tests ## Run the tests that need size rather than logic
	@BATON_TESTS=long $(pytest) $(parallel) --durations 20 -o faulthandler_timeout=3600 -m "long or scaled or hypothesis"

# The first time, Windows is set up: five minutes on two idle cores (packaging/windows/README.md).
test-windows: setup-tests ## Run all tests on a Windows Python, under Wine: WHAT="tests/core -x"
	@packaging/windows/setup.sh
	@QT_QPA_PLATFORM=offscreen packaging/windows/tests.sh $(parallel) $(WHAT)

real-pair: setup-tests ## Fetch a small and a large real model (1.57 GB) for `test-long` and `bench`
	@$(venv_python) packaging/real_pair.py

coverage: setup-tests ## Run `make test`, and list the lines and branches that it misses
	@$(pytest) $(parallel) --cov --cov-report term:skip-covered

# mypy checks one system at a time, and would begin anew at each change of system in a cache that they share.
check: setup-tests ## Check style, types on three systems, and who may import whom
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	@for system in linux darwin win32; do \
		echo "mypy --platform $$system"; .venv/bin/mypy --platform $$system --cache-dir .mypy_cache/$$system || exit 1; done
	.venv/bin/lint-imports
	@if command -v shellcheck >/dev/null; then shellcheck -x packaging/*.sh packaging/lock/make.sh packaging/gpu/*.sh packaging/frozen/*.sh packaging/windows/*.sh; fi

setup-tests: ## Set up .venv for the tests and checks
	@packaging/setup.sh test

screenshots: setup-tests ## Take the pictures of docs/images again
	@QT_QPA_PLATFORM=offscreen $(venv_python) packaging/screenshots.py

lock: ## Write packaging/lock/ from pyproject.toml; UPGRADE=1 takes newer versions
	@packaging/lock/make.sh $(if $(UPGRADE),--upgrade)

##@ Try on real systems
check-server: setup-tests ## Run the tests of servers: SERVER=/path/to/llama-server
	@"$(SERVER)" --version
	@BATON_LLAMA_SERVER="$(SERVER)" $(pytest) -rs -m real_models tests/core/engines/remote tests/app/window

check-catalog: setup-tests ## Compare the catalogue of models with the Hub
	@$(venv_python) packaging/check_catalog.py

# The first time, llama.cpp's Vulkan back end is built (docs/install.md).
test-gpu: setup-tests ## Test the GPU path on a small GPU made of software
	@packaging/gpu/build.sh test
	@BATON_GPU_BUILD=$(CURDIR)/.gpu-build/test $(pytest) tests/gpu

# DEVICE=software emulates a GPU; FIGURES and ROUNDS as in `bench`.
gpu-check: setup-tests ## Test and measure the engines on this machine's GPU
	@FIGURES="$(FIGURES)" ROUNDS="$(ROUNDS)" packaging/gpu/check.sh $(DEVICE)

# Let the machine rest meanwhile. FIGURES="P1 P5" takes only these, ROUNDS=3 fewer repetitions.
bench: setup-tests ## Measure speed, and write the table of docs/measurements.md
	@$(venv_python) -m tests.bench $(FIGURES) $(if $(ROUNDS),--rounds $(ROUNDS)) --write

# GSM8K from the Hub, or PROBLEMS=file; LIMIT problems (60). A second call continues it.
real-evidence: real-pair ## Repeat the table of the real pair in docs/evidence.md: hours
	@packaging/real_evidence.sh "$(or $(PROBLEMS),hf:openai/gsm8k:main/test)" "$(or $(LIMIT),60)"

# 1,000 faults in a running batch and a running chat; the report goes into docs/measurements.md. Ctrl+C ends it early.
soak: setup-tests ## Break a running batch and chat for an hour: FAULTS, SEED, MINUTES
	@$(venv_python) -m tests.soak --faults $(or $(FAULTS),1000) --seed $(or $(SEED),1) --minutes $(or $(MINUTES),60) --write

##@ Release
frozen: ## Build the program that needs no Python, in dist/; SMOKE=1 runs it
	@SMOKE=$(SMOKE) packaging/frozen/build.sh

frozen-windows: setup-tests ## Build the same for Windows, under Wine: CPU only, to try it
	@packaging/windows/setup.sh
	@packaging/windows/frozen.sh

demo-pair: ## Train the demo pair again (packaging/demo_pair/README.md)
	@packaging/demo_pair/make.sh
