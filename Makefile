# `make demo`: the runtime alone, on generated cameras.  `make web`: two videos in the browser.  `make test`: everything,
# checked.
PYTHON ?= python3
PIP_FLAGS = --quiet --disable-pip-version-check
RUNTIME_FILES := $(shell find runtime vr -type f -not -name '*.pyc')

.PHONY: demo web test test-all check docs bench accuracy models clean

demo: .venv-run/.ready
	.venv-run/bin/vr-live --ir sim: --rgb sim: --frames 300 --no-window \
		--record demo.mp4 --view side-by-side --overwrite

# IR=thermal.mp4 RGB=colour.mp4, or cameras; without them a generated scene.
IR ?= sim:
RGB ?= sim:
web: .venv-run/.ready
	.venv-run/bin/vr-live --ir "$(IR)" --rgb "$(RGB)" --loop --no-window --web

test: .venv/.ready check
	.venv/bin/pytest -n 2

test-all: .venv/.ready check
	.venv/bin/pytest -n 2 -m 'slow or not slow'

check: .venv/.ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright --pythonpath .venv/bin/python

# The documentation site, in build/site. The variable silences mkdocs-material's news about MkDocs 2.
docs: .venv/.ready
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

bench: .venv/.ready
	.venv/bin/python -m benchmarks.speed --short
	.venv/bin/python -m benchmarks.table

accuracy: .venv/.ready
	@test -n "$(DATA)" || { echo "make accuracy DATA=folder with pairs (rgb/ and ir/, at any depth)"; exit 2; }
	.venv/bin/python -m benchmarks.accuracy "$(DATA)"
	.venv/bin/python -m benchmarks.table

# The embedded models from the beginning: some two hours on two CPU cores. An interrupted step goes on with the command
# that it prints; make goes on behind it.
models: runs/clean/best.pt runs/base/best.pt runs/dense/best.pt
	.venv/bin/vr-export runs/base/best.pt -o runs/default.onnx --overwrite
	.venv/bin/vr-export runs/base/small.pt -o runs/small.onnx --overwrite
	.venv/bin/vr-export runs/clean/best.pt -o runs/clean.onnx --overwrite
	.venv/bin/vr-export runs/dense/best.pt -o runs/dense.onnx --overwrite

runs/clean/best.pt: | .venv/.ready
	.venv/bin/vr-train match --out runs/clean --steps 8000

runs/base/best.pt: runs/clean/best.pt
	@test -n "$(PAIRS)" || { echo 'make models PAIRS="folder folder" (each with rgb/ and ir/)'; exit 2; }
	.venv/bin/vr-train match $(PAIRS) --hold-out benchmarks/held_out.json --start runs/clean/last.pt --out runs/base

runs/dense/best.pt: runs/base/best.pt
	.venv/bin/vr-train dense runs/base/best.pt $(PAIRS) --hold-out benchmarks/held_out.json --out runs/dense --steps 3500

clean:
	rm -rf .venv .venv-run build dist *.egg-info demo.mp4

.venv-run/.ready: pyproject.toml setup.py constraints.txt $(RUNTIME_FILES)
	$(PYTHON) -m venv .venv-run
	.venv-run/bin/pip install $(PIP_FLAGS) -c constraints.txt --force-reinstall --no-deps .
	.venv-run/bin/pip install $(PIP_FLAGS) -c constraints.txt ".[cpu,web]"
	touch $@

.venv/.ready: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install $(PIP_FLAGS) -c constraints.txt -e ".[cpu,web,train,export,bench,docs,dev]"
	touch $@
