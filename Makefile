# Everything that a newcomer or a contributor runs. `make` alone lists the targets.
# The interpreter (else the newest that works), the build of torch (cpu, cu126; else PyPI's), V=1 for details.
PYTHON ?=
TORCH ?=
V ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
DEMO := runs/demo
PAIRED := data/demo/songs/paired
# Small networks: threads that wait for each other are slow beside other work.
ONE := OMP_NUM_THREADS=1
# Commands within a target do not suggest a next command.
NO_HINTS := CYCLEGAN_AUDIO_NO_HINTS=1

.DEFAULT_GOAL := help
.PHONY: help always setup demo demo-songs demo-report test test-browser lint types wheel matrix constraints clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## make .venv with everything that is needed (repeated, it does nothing)

$(STAMP): pyproject.toml constraints.txt setup.sh $(if $(PYTHON)$(TORCH),always)
	@PYTHON="$(PYTHON)" TORCH="$(TORCH)" V="$(V)" sh setup.sh

demo: setup ## prepare, train, translate and evaluate on songs made here: 3 to 6 minutes on 2 CPU cores
	$(NO_HINTS) $(BIN)/python -m cyclegan_audio.prepare source=demo
	rm -rf $(DEMO)
	$(NO_HINTS) $(BIN)/python -m cyclegan_audio.train experiment=demo run_dir=$(DEMO)
	@$(MAKE) --no-print-directory -j2 demo-songs demo-report
	@echo "translated songs: $(CURDIR)/$(DEMO)/translated"
	@echo "report:           $(CURDIR)/$(DEMO)/report/report.html"

demo-songs:
	$(NO_HINTS) $(ONE) $(BIN)/python -m cyclegan_audio.translate $(DEMO) $(PAIRED)/lofi $(DEMO)/translated/lofi_to_rnb --to rnb --overwrite
	$(NO_HINTS) $(ONE) $(BIN)/python -m cyclegan_audio.translate $(DEMO) $(PAIRED)/rnb $(DEMO)/translated/rnb_to_lofi --to lofi --overwrite

demo-report:
	$(NO_HINTS) $(ONE) $(BIN)/python -m cyclegan_audio.evaluate $(DEMO)

test: setup ## run the tests, two files at a time
	$(ONE) $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not gpu and not browser'

test-browser: setup ## run the tests of pages in a browser (chromium), which skip without one
	$(ONE) $(BIN)/python -m pytest -m browser tests/web tests/reports tests/listening

lint: setup ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## check types
	$(BIN)/mypy

wheel: setup ## build the wheel, install it alone, and prepare, train and translate with it in an empty folder
	$(ONE) $(BIN)/python .ci/check_wheel.py

# make matrix OLDEST=/path/python3.11 NEWEST=/path/python3.14 COLAB=/path/python3.13 CPU=/path/python3.11
# CPU_TORCH: what installs the CPU build of torch 2.13.0, else pytorch.org's index.
matrix: setup ## run the tests with the oldest, the newest and Colab's packages, and without torchaudio: an hour
	$(BIN)/python experiments/009_install/matrix.py $(foreach name,OLDEST NEWEST COLAB CPU,\
		$(if $($(name)),$(name)=$($(name)))) $(if $(CPU_TORCH),--cpu-torch $(CPU_TORCH))

$(BIN)/uv:
	@$(MAKE) --no-print-directory setup

constraints: $(BIN)/uv ## resolve the versions in constraints.txt anew, for Python 3.11 and newer
	$(BIN)/uv pip compile --universal --no-header --no-annotate --python-version 3.11 --all-extras pyproject.toml -o constraints.txt

clean: ## remove the environment and caches; data and runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
