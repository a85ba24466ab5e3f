# Everything that a newcomer or a contributor runs. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
DEMO := runs/demo
PAIRED := data/demo/songs/paired
# Small networks: threads that wait for each other are slow beside other work.
ONE := OMP_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-songs demo-report test lint types constraints clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## make .venv with everything that is needed (repeated, it does nothing)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "Python 3.11 or 3.12 is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## prepare, train, translate and evaluate on songs made here: 3 to 6 minutes on 2 CPU cores
	$(BIN)/python -m cyclegan_audio.prepare source=demo
	rm -rf $(DEMO)
	$(BIN)/python -m cyclegan_audio.train experiment=demo run_dir=$(DEMO)
	@$(MAKE) --no-print-directory -j2 demo-songs demo-report
	@echo "translated songs: $(CURDIR)/$(DEMO)/translated"
	@echo "report:           $(CURDIR)/$(DEMO)/report/report.html"

demo-songs:
	$(ONE) $(BIN)/python -m cyclegan_audio.translate $(DEMO) $(PAIRED)/lofi $(DEMO)/translated/lofi_to_rnb --to rnb --overwrite
	$(ONE) $(BIN)/python -m cyclegan_audio.translate $(DEMO) $(PAIRED)/rnb $(DEMO)/translated/rnb_to_lofi --to lofi --overwrite

demo-report:
	$(ONE) $(BIN)/python -m cyclegan_audio.evaluate $(DEMO)

test: setup ## run the tests, two files at a time
	$(ONE) $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu'

lint: setup ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## check types
	$(BIN)/mypy

constraints: ## resolve the versions in constraints.txt anew, for Python 3.11 and 3.12
	uv pip compile --universal --no-header --no-annotate --python-version 3.11 --all-extras pyproject.toml -o constraints.txt

clean: ## remove the environment and caches; data and runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
