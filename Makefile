# make demo   train on a synthetic volume for about a minute; results in demo/
# make test   linters, types, import contracts, docs and tests
# Both need git, make, Python >= 3.11 and a network, and set up everything else in .venv.

VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
TORCH := torch>=2.10
CPU_BUILDS := https://download.pytorch.org/whl/cpu

.PHONY: demo test clean

demo: $(VENV)/demo.stamp
	$(BIN)/napari-weak3d demo --out demo

# pytest comes last: its closing line is what one looks for.
test: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@sh .ci/pytest $(BIN)

clean:
	rm -rf $(VENV) demo site

$(VENV)/demo.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp pyproject.toml
	$(PIP) install --editable . --group test --group docs
	@touch $@

# A CPU build is enough for both, and some gigabytes smaller. A wheel offered locally (pip's find-links) comes first,
# then PyTorch's own CPU builds; where neither is there, the next step takes what the package index has.
$(VENV)/torch.stamp: $(VENV)/pip.stamp
	@$(PIP) install --no-index --no-deps "$(TORCH)" 2>/dev/null \
	|| { [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null \
	     && $(PIP) install --retries 1 --timeout 20 --index-url $(CPU_BUILDS) --no-deps "$(TORCH)" 2>/dev/null; } \
	|| true
	@touch $@

# Dependency groups need pip 25.1.
$(VENV)/pip.stamp: | $(BIN)/python
	$(PIP) install --upgrade "pip>=25.1"
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3 python python3.14 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$python -m venv $(VENV)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "no Python >= 3.11 with venv found (on Debian and Ubuntu: apt install python3-venv); or: make PYTHON=..." >&2; \
	exit 1
