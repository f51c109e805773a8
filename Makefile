# What a person runs is what CI runs. `make demo` and `make test` do all set-up on a machine that
# has only Python 3.11 or newer, pip and make; they share .venv and may run in either order.

PYTHON ?= $(firstword $(shell command -v python3.11) $(shell command -v python3) python3)
# Torch is pinned and installed before anything that requires it; docs/start.md says how to get the CPU
# build. Name another build, or options of pip, here: make test TORCH="torch==2.13.0 …"
TORCH ?= torch==2.13.0

BIN := .venv/bin
# Python compiles what is imported, and keeps it. To compile all that is installed takes half a minute.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# Files of tests are parted among three processes: two cores are kept busy while a third waits for a
# browser, and each process loads torch. PARTED= runs them one after another.
PARTED ?= -n 3 --dist loadfile --no-loadscope-reorder
PACKAGE := pyproject.toml src/tumorlens/version.py

.PHONY: help demo test slow check format docs tutorial gallery screenshots screenshots-view examples clean

help:
	@echo "make demo      run the detector on examples/ (installs the light core)"
	@echo "make test      run all tests (installs torch, see TORCH below, and the test tools)"
	@echo "make slow      run the few tests that take over ten seconds each, and the tutorial"
	@echo "make check     formatting, lint, types and the floor plan"
	@echo "make format    format the code and mend what ruff can mend"
	@echo "make docs      build the pages into site/ and check their links"
	@echo "make tutorial  execute the notebook of the tutorials and write its page (needs what make test needs)"
	@echo "make gallery   draw the pictures of the gallery anew"
	@echo "make screenshots  photograph every report page (needs chromium and what make test needs)"
	@echo "make screenshots-view  photograph the viewer (needs chromium)"
	@echo "make examples  paint examples/ anew"
	@echo "make clean     remove .venv and everything that was built"

# One stamp an install set, so that nothing is installed twice. The larger set holds the smaller.
.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

.venv/core.stamp: $(PACKAGE) | .venv/pyvenv.cfg
	$(PIP) --editable .
	@touch $@

# `--group` came with pip 25.1; Python 3.11 brings an older one.
.venv/dev.stamp: $(PACKAGE) | .venv/pyvenv.cfg
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) $(TORCH)
	$(PIP) --editable ".[train,tune,tensorboard,mlflow,dicom,view,pacs,serve,slurm,mcp,remote]" --group dev
	@touch .venv/core.stamp $@

# The pages list the options of the command, so they need the light core.
.venv/docs.stamp: .venv/core.stamp
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) --group docs
	@touch $@

.venv/examples.stamp: .venv/core.stamp
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) --group examples
	@touch $@

demo: .venv/core.stamp
	$(BIN)/tumorlens predict examples --format table --heatmaps demo
	@echo "Pictures with heat maps: $(CURDIR)/demo"

# axe-core looks at pages for those who do not see; without npm its tests are skipped, and say so.
tests/node_modules/axe.stamp: tests/package-lock.json
	npm ci --prefix tests --ignore-scripts --no-audit --no-fund --silent
	@touch $@

test: .venv/dev.stamp $(if $(shell command -v npm),tests/node_modules/axe.stamp)
	$(BIN)/python -m pytest $(PARTED) -m "not slow"

slow: .venv/dev.stamp
	$(BIN)/python -m pytest $(PARTED) -m slow
	$(BIN)/python docs/hooks/notebooks.py

check: .venv/dev.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: .venv/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

tutorial: .venv/dev.stamp
	$(BIN)/python docs/hooks/notebooks.py

screenshots-view: .venv/examples.stamp .venv/dev.stamp
	$(BIN)/python docs/hooks/viewer_screenshots.py

gallery: .venv/core.stamp
	$(BIN)/python docs/hooks/gallery.py

screenshots: .venv/dev.stamp
	$(BIN)/python docs/hooks/screenshots.py --output screenshots --keep
	$(BIN)/python docs/hooks/web_page_pictures.py --output screenshots

examples: .venv/examples.stamp
	$(BIN)/python examples/paint_lesions.py

clean:
	rm -rf .venv site demo screenshots tests/node_modules dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
