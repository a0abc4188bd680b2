# `make demo` and `make test` are all a new machine needs; both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := dev,ray,nni,onnx,picture,postgresql,dashboard
INSTALLED := $(VENV)/installed
TYPES := build/types/attnas

.PHONY: demo test suite lint types docs clean

# torchvision wants a torch of its own, with CUDA; the tests need the Python parts of these three.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "attnas needs Python 3.11 to 3.13; make PYTHON=python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]' -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check huggingface_hub regex tokenizers -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps timm torchvision transformers -c constraints.txt
	touch $@

demo: $(INSTALLED)
	$(BIN)/attnas search examples/demo.yaml
	$(BIN)/attnas confirm demo --workers 2
	$(BIN)/attnas export demo --output runs/demo/best.yaml
	$(BIN)/attnas report demo --output runs/demo/report.html

test: lint types suite

suite: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The rooms stand beside attnas/ but are installed inside it; type checkers need to see them there.
types: $(INSTALLED)
	rm -rf build/types && mkdir -p $(TYPES)
	ln -s $(CURDIR)/attnas/* $(TYPES)/
	for room in core search_space strategies evaluator results; do ln -s $(CURDIR)/$$room $(TYPES)/$$room; done
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p attnas

docs: $(INSTALLED)
	$(BIN)/attnas schema --markdown > docs/config.md
	$(BIN)/attnas blocks --markdown > docs/blocks.md

clean:
	rm -rf $(VENV) build dist *.egg-info
