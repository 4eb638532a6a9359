# The two commands of the README: `make run` and `make test`. Everything else is for those who work on Baton.
# Without make: packaging/setup.sh run && .venv/bin/baton-window
venv_python := .venv/bin/python
pytest := QT_QPA_PLATFORM=offscreen $(venv_python) -m pytest
# A process for each core, but not more than the memory for real models allows; each test file runs in one of them, so
# that what a module sets up is set up once. Slow files come first in their folders' order, not by their number of tests.
parallel := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: run test quick test-long coverage soak setup check-server test-gpu gpu-check frozen check check-catalog bench \
	screenshots reference demo-pair lock clean

run: setup
	@$(venv_python) -m baton_reasoning.app

setup:
	@packaging/setup.sh run

test:
	@packaging/setup.sh test
	@$(pytest) $(parallel) --durations 20

# What to run while working: no real models, no other programs.
quick:
	@packaging/setup.sh test
	@$(pytest) $(parallel) -m "not slow and not long and not real_models"

# What needs size rather than logic: hundreds of problems, the commands of the docs, every size of window with every
# theme, all policies on real models, wheels, and 1,000 draws of each randomised test instead of 20.
test-long:
	@packaging/setup.sh test
	@BATON_TESTS=long $(pytest) $(parallel) --durations 20 -m "long or scaled or hypothesis"

coverage:
	@packaging/setup.sh test
	@$(pytest) $(parallel) --cov --cov-report term:skip-covered

# 1,000 faults in a running batch and a running chat; the report goes into docs/measurements.md. Ctrl+C ends it early.
soak:
	@packaging/setup.sh test
	@$(venv_python) -m tests.soak --faults $(or $(FAULTS),1000) --seed $(or $(SEED),1) --minutes $(or $(MINUTES),60) --write

# The tests of servers against any llama-server: make check-server SERVER=/path/to/llama-server (docs/servers.md).
check-server:
	@packaging/setup.sh test
	@"$(SERVER)" --version
	@BATON_LLAMA_SERVER="$(SERVER)" $(pytest) -rs -m real_models tests/core/engines/remote tests/app/servers

# The GPU path on a small GPU made of software (docs/install.md). The first time llama.cpp's Vulkan back end is built.
test-gpu:
	@packaging/setup.sh test
	@packaging/gpu/build.sh test
	@BATON_GPU_BUILD=$(CURDIR)/.gpu-build/test QT_QPA_PLATFORM=offscreen $(venv_python) -m pytest tests/gpu

# The engines' tests, a table of speeds and the bench's, with layers on this machine's GPU. FIGURES and ROUNDS as in `bench`.
gpu-check:
	@packaging/setup.sh test
	@FIGURES="$(FIGURES)" ROUNDS="$(ROUNDS)" packaging/gpu/check.sh

# What the code must satisfy besides its tests: style, types, and who may import whom.
check:
	@packaging/setup.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	@if command -v shellcheck >/dev/null; then shellcheck -x packaging/*.sh packaging/lock/make.sh packaging/gpu/*.sh packaging/frozen/*.sh; fi

# Ratios taken side by side in one run, and the table of docs/measurements.md. Let the machine rest meanwhile. FIGURES="P1 P5"
# takes only these, ROUNDS=3 fewer repetitions.
bench:
	@packaging/setup.sh test
	@$(venv_python) -m tests.bench $(FIGURES) $(if $(ROUNDS),--rounds $(ROUNDS)) --write

# The catalog of models against the Hub, where it can be reached.
check-catalog:
	@packaging/setup.sh test
	@$(venv_python) packaging/check_catalog.py

# Every command, option, setting and key, from the program itself: build/reference.md, and the manual page build/baton.1.
reference:
	@packaging/setup.sh test
	@$(venv_python) packaging/reference.py

screenshots:
	@packaging/setup.sh test
	@QT_QPA_PLATFORM=offscreen $(venv_python) packaging/screenshots.py

# Writes packaging/lock/ again from pyproject.toml; `make lock UPGRADE=1` takes newer versions as well.
lock:
	@packaging/lock/make.sh $(if $(UPGRADE),--upgrade)

# The program as one folder without Python (packaging/frozen/README.md); SMOKE=1 also runs it.
frozen:
	@SMOKE=$(SMOKE) packaging/frozen/build.sh

demo-pair:
	@packaging/demo_pair/make.sh

clean:
	rm -rf .venv .venv-frozen build dist *.egg-info .mypy_cache .ruff_cache
