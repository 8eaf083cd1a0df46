# Two commands do everything on a fresh machine with Python >= 3.11:
#   make demo   train on drawn streets, evaluate, export, compare
#   make test   run the tests
# and a third tests the other backends, in environments without TensorFlow:
#   make test-backends

# The first Python found that the pinned packages support; `make PYTHON=/path/to/python demo` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

NO_PYTHON = No Python from 3.11 to 3.13 was found; install one, or say make PYTHON=/path/to/python.
VENV = .venv
READY = $(VENV)/.ready

.PHONY: demo test test-backends lint types environment clean

demo: $(READY)
	$(VENV)/bin/keras-segnet demo

test: $(READY)
	$(VENV)/bin/python -m pytest

# Each backend writes models and what they answer, then each reads those of all.
EXCHANGE = build/exchange
test-backends: $(READY) .venv-jax/.ready .venv-torch/.ready
	rm -rf $(EXCHANGE)
	KERAS_BACKEND=tensorflow $(VENV)/bin/python tests/backends/write_exchange.py $(EXCHANGE)
	KERAS_BACKEND=jax .venv-jax/bin/python tests/backends/write_exchange.py $(EXCHANGE)
	KERAS_BACKEND=torch .venv-torch/bin/python tests/backends/write_exchange.py $(EXCHANGE)
	KERAS_BACKEND=tensorflow $(VENV)/bin/python -m pytest tests/backends/test_exchange.py
	KERAS_BACKEND=jax .venv-jax/bin/python -m pytest tests/backends
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest tests/backends

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

environment: $(READY)

.venv-%/.ready: requirements-%.txt setup.cfg
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)"; exit 2; }
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --requirement requirements-$*.txt
	.venv-$*/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(READY): requirements.txt setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.txt
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) .venv-jax .venv-torch build *.egg-info
