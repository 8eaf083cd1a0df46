# Two commands do everything on a fresh machine with Python >= 3.11:
#   make demo   train on drawn streets, evaluate, export, compare
#   make test   run the tests
# and a third tests the other backends, in environments without TensorFlow:
#   make test-backends
# and a fourth opens exported files with MediaPipe, in its own environment:
#   make test-clients

# The first Python found that the pinned packages support; `make PYTHON=/path/to/python demo` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

NO_PYTHON = No Python from 3.11 to 3.13 was found; install one, or say make PYTHON=/path/to/python.
VENV = .venv
READY = $(VENV)/.ready

.PHONY: demo test test-backends test-clients benchmark-environments software-gpu arm-emulator test-arm lint types environment clean

demo: $(READY)
	$(VENV)/bin/keras-segnet demo

test: $(READY)
	$(VENV)/bin/python -m pytest --ignore tests/backends --ignore tests/clients -n 2 --dist loadfile

# Each backend writes models and what they answer, then each reads those of all.
EXCHANGE = build/exchange
test-backends: $(READY) .venv-jax/.ready .venv-torch/.ready
	rm -rf $(EXCHANGE)
	PYTHONPATH=tests KERAS_BACKEND=tensorflow $(VENV)/bin/python tests/backends/write_exchange.py $(EXCHANGE)
	PYTHONPATH=tests:$(CURDIR) KERAS_BACKEND=jax .venv-jax/bin/python tests/backends/write_exchange.py $(EXCHANGE)
	PYTHONPATH=tests:$(CURDIR) KERAS_BACKEND=torch .venv-torch/bin/python tests/backends/write_exchange.py $(EXCHANGE)
	KERAS_BACKEND=tensorflow $(VENV)/bin/python -m pytest tests/backends/test_exchange.py \
		tests/backends/test_networks.py::test_two_runs_from_one_seed_give_bit_equal_weights
	PYTHONPATH=$(CURDIR) KERAS_BACKEND=jax .venv-jax/bin/python -m pytest tests/backends
	PYTHONPATH=$(CURDIR) KERAS_BACKEND=torch .venv-torch/bin/python -m pytest tests/backends --ignore tests/backends/test_all_networks.py

FILES_FOR_CLIENTS = build/clients
test-clients: $(READY) .venv-mediapipe/.ready
	rm -rf $(FILES_FOR_CLIENTS)
	PYTHONPATH=tests KERAS_BACKEND=tensorflow $(VENV)/bin/python tests/clients/write_files.py $(FILES_FOR_CLIENTS)
	.venv-mediapipe/bin/python -m pytest tests/clients

# For benchmarks/; tensorflow-addons runs in Python 3.11 at most.
ADDONS_PYTHON ?= $(shell for p in python3.11 python3.10 python3.9 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 12))' 2>/dev/null && echo $$p && break; done)
benchmark-environments: $(READY) .venv-torch/.ready .venv-addons/.ready

.venv-addons/.ready: requirements-addons.txt
	@test -n "$(ADDONS_PYTHON)" || { echo "No Python from 3.9 to 3.11 was found; say make ADDONS_PYTHON=/path/to/python benchmark-environments."; exit 2; }
	$(ADDONS_PYTHON) -m venv .venv-addons
	.venv-addons/bin/python -m pip install --quiet --requirement requirements-addons.txt
	touch $@

# A GPU made of software (SwiftShader), on which the tests run exported files; fetched once by npm and kept.
SOFTWARE_GPU ?= $(HOME)/.cache/keras-segnet/software-gpu
SWIFTSHADER = sparticuz-chromium-153.0.0.tgz
SWIFTSHADER_SHA256 = 20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0
UNBROTLI = const fs = require("fs"); process.stdout.write(require("zlib").brotliDecompressSync(fs.readFileSync(0)))
software-gpu: $(SOFTWARE_GPU)/vk_swiftshader_icd.json

$(SOFTWARE_GPU)/vk_swiftshader_icd.json:
	rm -rf $(SOFTWARE_GPU) $(SOFTWARE_GPU).partial
	mkdir -p $(SOFTWARE_GPU).partial
	cd $(SOFTWARE_GPU).partial && npm pack --silent @sparticuz/chromium@153.0.0 > /dev/null
	echo "$(SWIFTSHADER_SHA256)  $(SOFTWARE_GPU).partial/$(SWIFTSHADER)" | sha256sum --check --quiet
	cd $(SOFTWARE_GPU).partial && tar xzOf $(SWIFTSHADER) package/bin/swiftshader.tar.br | node -e '$(UNBROTLI)' | tar xmf -
	rm $(SOFTWARE_GPU).partial/$(SWIFTSHADER)
	mv $(SOFTWARE_GPU).partial $(SOFTWARE_GPU)

# Emulated ARM processors for the programs of export/: QEMU, Python and a compiler, from Debian 12's packages, without root.
ARM_EMULATOR ?= $(HOME)/.cache/keras-segnet/arm
arm-emulator: $(ARM_EMULATOR)/qemu-aarch64-static

$(ARM_EMULATOR)/qemu-aarch64-static: | $(READY)
	tests/arm/setup.sh $(ARM_EMULATOR) $(abspath $(VENV)/bin/python)

test-arm: arm-emulator
	REQUIRE_ARM=1 $(VENV)/bin/python -m pytest tests/exporting/test_cpp_and_arm.py

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY)
	$(VENV)/bin/mypy

environment: $(READY)

.venv-%/.ready: requirements-%.txt
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)"; exit 2; }
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --requirement requirements-$*.txt
	touch $@

$(READY): requirements.txt setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.txt
	$(VENV)/bin/python -m pip install --quiet --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) .venv-jax .venv-torch .venv-addons .venv-mediapipe build *.egg-info
