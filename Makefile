# On a fresh machine with Python >= 3.11:
#   make demo           train on drawn streets, evaluate, export, also to a web page, compare
#   make fast           lint, types and unit tests: what to run before each commit
#   make test           all tests of the library, under TensorFlow
#   make test-backends  the tests of the other backends, in environments without TensorFlow
#   make test-clients   open exported files with MediaPipe, in an environment of its own
#   make site           the pages as a site, in build/site: strictly, and without a network
#   make test-package   build wheel and sdist, install each in an empty environment, and use it there
# Each makes the environments that it needs.

# The first Python found that the pinned packages support; `make PYTHON=/path/to/python demo` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)

# The oldest and the newest that they support, by name or from pyenv; PYTHON_3_13=/path/to/python says where it is.
find = $(shell for p in python$(1) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$(1)*/bin/python; do \
	$$p -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(1)")' 2>/dev/null && echo $$p && break; done)
PYTHON_3_11 ?= $(call find,3.11)
PYTHON_3_13 ?= $(call find,3.13)

NO_PYTHON = No Python from 3.11 to 3.13 was found; install one, or say make PYTHON=/path/to/python.
VENV = .venv
READY = $(VENV)/.ready

.PHONY: demo fast lint types unit test test-backends test-jax test-torch test-clients test-package \
	test-package-3.11 test-package-3.13 dist site benchmark-environments software-gpu \
	web-runtime browser types-web test-web arm-emulator test-arm environment environments clean

demo: $(READY)
	@$(MAKE) --no-print-directory web-runtime || echo "npm could not fetch LiteRT.js, so there will be no web page."
	$(VENV)/bin/keras-segnet demo

# Both workers take tests as they come, and each test has a time limit; see setup.cfg.
PYTEST = $(VENV)/bin/python -m pytest -n 2 --dist worksteal --durations 25

fast: lint types unit

# What needs no training, no export and no second process.
UNIT = tests/data tests/evaluation tests/layers tests/training/test_configuration.py tests/models/test_graph.py tests/test_*.py
unit: $(READY)
	$(PYTEST) $(UNIT) --deselect tests/test_notebooks.py -m "not slow"

test: $(READY)
	$(PYTEST) --ignore tests/backends --ignore tests/clients

# Each backend writes models and what they answer, then each reads those of all.
EXCHANGE = build/exchange
.PHONY: $(EXCHANGE)
test-backends: test-jax test-torch

$(EXCHANGE): $(READY) .venv-jax/.ready .venv-torch/.ready
	rm -rf $@
	PYTHONPATH=tests KERAS_BACKEND=tensorflow $(VENV)/bin/python tests/backends/write_exchange.py $@
	PYTHONPATH=tests:$(CURDIR) KERAS_BACKEND=jax .venv-jax/bin/python tests/backends/write_exchange.py $@
	PYTHONPATH=tests:$(CURDIR) KERAS_BACKEND=torch .venv-torch/bin/python tests/backends/write_exchange.py $@

test-jax: $(EXCHANGE)
	KERAS_BACKEND=tensorflow $(VENV)/bin/python -m pytest tests/backends/test_exchange.py \
		tests/backends/test_networks.py::test_two_runs_from_one_seed_give_bit_equal_weights
	PYTHONPATH=$(CURDIR) KERAS_BACKEND=jax .venv-jax/bin/python -m pytest -n 2 --dist worksteal --durations 10 tests/backends \
		tests/layers/test_every_layer.py

test-torch: $(EXCHANGE)
	PYTHONPATH=$(CURDIR) KERAS_BACKEND=torch .venv-torch/bin/python -m pytest --durations 10 tests/backends \
		tests/layers/test_every_layer.py --ignore tests/backends/test_all_networks.py

FILES_FOR_CLIENTS = build/clients
test-clients: $(READY) .venv-mediapipe/.ready
	rm -rf $(FILES_FOR_CLIENTS)
	PYTHONPATH=tests KERAS_BACKEND=tensorflow $(VENV)/bin/python tests/clients/write_files.py $(FILES_FOR_CLIENTS)
	.venv-mediapipe/bin/python -m pytest tests/clients

# For benchmarks/; tensorflow-addons runs in Python 3.11 at most.
ADDONS_PYTHON ?= $(shell for p in python3.11 python3.10 python3.9 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 12))' 2>/dev/null && echo $$p && break; done)
benchmark-environments: $(READY) .venv-torch/.ready .venv-addons/.ready .venv-openvino/.ready

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

# LiteRT.js, which `keras-segnet export --format web` puts into its folder; fetched once by npm and kept. Apache-2.0.
WEB_RUNTIME ?= $(HOME)/.cache/keras-segnet/web-runtime
LITERT_JS_SHA256 = a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd
WASM_UTILS_SHA256 = ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7
web-runtime: $(WEB_RUNTIME)/index.js

$(WEB_RUNTIME)/index.js:
	rm -rf $(WEB_RUNTIME) $(WEB_RUNTIME).partial
	mkdir -p $(WEB_RUNTIME).partial/wasm
	cd $(WEB_RUNTIME).partial && npm pack --silent @litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3 > /dev/null
	cd $(WEB_RUNTIME).partial && printf '%s  %s\n' $(LITERT_JS_SHA256) litertjs-core-2.5.3.tgz \
		$(WASM_UTILS_SHA256) litertjs-wasm-utils-2.5.3.tgz | sha256sum --check --quiet
	cd $(WEB_RUNTIME).partial && tar xOf litertjs-core-2.5.3.tgz package/dist/index.js > index.js
	cd $(WEB_RUNTIME).partial && tar xOf litertjs-wasm-utils-2.5.3.tgz package/dist/index.js > wasm-utils.js
	cd $(WEB_RUNTIME).partial && tar xf litertjs-core-2.5.3.tgz --strip-components=1 --exclude='*jspi*' package/wasm
	cp LICENSE $(WEB_RUNTIME).partial/LICENSE
	rm $(WEB_RUNTIME).partial/*.tgz
	mv $(WEB_RUNTIME).partial $(WEB_RUNTIME)

# A browser for the tests of the web page: the Chromium of the same npm package as the software GPU.
BROWSER ?= $(HOME)/.cache/keras-segnet/browser
browser: $(BROWSER)/chromium

$(BROWSER)/chromium:
	rm -rf $(BROWSER) $(BROWSER).partial
	mkdir -p $(BROWSER).partial
	cd $(BROWSER).partial && npm pack --silent @sparticuz/chromium@153.0.0 > /dev/null
	echo "$(SWIFTSHADER_SHA256)  $(BROWSER).partial/$(SWIFTSHADER)" | sha256sum --check --quiet
	cd $(BROWSER).partial && tar xzOf $(SWIFTSHADER) package/bin/chromium.br | node -e '$(UNBROTLI)' > chromium
	cd $(BROWSER).partial && for part in al2023 fonts swiftshader; do \
		tar xzOf $(SWIFTSHADER) package/bin/$$part.tar.br | node -e '$(UNBROTLI)' | tar xmf - || exit 1; done
	chmod +x $(BROWSER).partial/chromium
	rm $(BROWSER).partial/$(SWIFTSHADER)
	mv $(BROWSER).partial $(BROWSER)

# The types of the page's JavaScript, which stand in its comments.
TYPESCRIPT = build/web-types/node_modules/.bin/tsc
$(TYPESCRIPT):
	npm install --silent --prefix build/web-types typescript@5.9.3 @webgpu/types@0.1.66 @litertjs/core@2.5.3

types-web: $(TYPESCRIPT)
	$(TYPESCRIPT) --project tests/exporting/tsconfig.json

test-web: $(READY) web-runtime browser types-web
	REQUIRE_BROWSER=1 $(VENV)/bin/python -m pytest tests/exporting/test_web.py

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

site: .venv-docs/.ready
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build

# The wheel is built from the sdist, so each of them proves the other.
dist: .venv-package/.ready
	rm -rf dist
	.venv-package/bin/python -m build --no-isolation > /dev/null
	.venv-package/bin/python -m twine check --strict dist/*
	test -n "$$(find dist -name '*.whl' -size -25M)"

test-package: test-package-3.11 test-package-3.13

INSTALLED = build/installed
test-package-3.11: dist
	@test -n "$(PYTHON_3_11)" || { echo "No Python 3.11 was found; say make PYTHON_3_11=/path/to/python $@."; exit 2; }
	rm -rf $(INSTALLED)-3.11
	$(PYTHON_3_11) -m venv $(INSTALLED)-3.11
	$(INSTALLED)-3.11/bin/python -m pip install --quiet --no-compile --constraint requirements.txt dist/*.whl
	$(INSTALLED)-3.11/bin/python -P tests/installed.py
	rm -rf $(INSTALLED)-3.11

# The unit tests that look at nothing but the library itself.
UNIT_OF_LIBRARY = tests/data/test_labels.py tests/data/test_pipeline.py tests/evaluation tests/layers/test_sizes.py tests/layers/test_normalization.py \
	tests/test_losses.py tests/test_metrics.py tests/test_optimizers.py tests/test_threads.py tests/test_docstrings.py
test-package-3.13: dist
	@test -n "$(PYTHON_3_13)" || { echo "No Python 3.13 was found; say make PYTHON_3_13=/path/to/python $@."; exit 2; }
	rm -rf $(INSTALLED)-3.13
	$(PYTHON_3_13) -m venv $(INSTALLED)-3.13
	$(INSTALLED)-3.13/bin/python -m pip install --quiet --no-compile --constraint requirements.txt dist/*.tar.gz hypothesis pytest pytest-timeout
	$(INSTALLED)-3.13/bin/python -P tests/installed.py
	$(INSTALLED)-3.13/bin/pytest --quiet -m "not slow" $(UNIT_OF_LIBRARY)
	rm -rf $(INSTALLED)-3.13

# All of them at once, while there is nothing else to do.
environments: $(READY) .venv-jax/.ready .venv-torch/.ready .venv-mediapipe/.ready .venv-package/.ready .venv-docs/.ready software-gpu arm-emulator web-runtime browser
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
	rm -rf $(VENV) .venv-jax .venv-torch .venv-addons .venv-mediapipe .venv-package .venv-docs build dist *.egg-info
