# Everything that is done to this project, by name. `make help` lists it.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EDGE_TEST_DATA ?= ../shared
export EDGE_TEST_DATA
# exec: make hands a signal to what it started, and a shell between would keep it from the script.
TESTBED = exec env PYTHON=$(CURDIR)/$(BIN)/python deploy/testbed/

# A file's tests stay together, for they share what was made for the first.
PYTEST = $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
IN_VENVS = EDGE_OLDEST_PYTHON=$(CURDIR)/$(VENV)-oldest/bin/python EDGE_TFLITE_SUPPORT=$(CURDIR)/$(VENV)/tflite-support

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick coverage lint test-arm-quick test-arm test-service test-power test-card test-deb test-cluster test-camera test-ha test-web test-mqtt test-sources soak fuzz docs benchmark instrument release deb sample clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/ready  ## draw photos, train, convert, measure, classify the test set (4 minutes)
	$(BIN)/python -m convert.demo

test: $(VENV)/ready $(VENV)-oldest/ready  ## all tests that need neither root nor hardware
	$(IN_VENVS) $(PYTEST)

test-quick: $(VENV)/ready $(VENV)-oldest/ready  ## of these, what tests edge in the test's own process, without TensorFlow and a network
	$(IN_VENVS) PYTHONPATH=$(CURDIR)/tests/without_tensorflow $(PYTEST) -m 'not tensorflow and not convert and not network and not process'

coverage: $(VENV)/ready $(VENV)-oldest/ready  ## the same tests once, with the coverage of edge and its floor (pyproject.toml)
	$(IN_VENVS) $(PYTEST) --cov=edge --cov-report=term:skip-covered

lint: $(VENV)/ready  ## ruff, mypy (strict), the import rule, codespell, shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py tests/test_dialect.py
	$(BIN)/codespell edge convert deploy docs tests benchmarks models *.md
	@if command -v shellcheck >/dev/null; then shellcheck -x deploy/*.sh deploy/deb/build.sh deploy/deb/p* deploy/testbed/*.sh .ci/run; \
	else echo 'shell scripts not checked: apt install shellcheck'; fi

test-arm-quick: $(VENV)/ready  ## the shipped models on emulated ARM, bookworm and trixie (root; Debian's mmdebstrap; Linux 6.7)
	$(TESTBED)test-arm.sh --quick

test-arm: $(VENV)/ready  ## the same in four roots, freshly converted models, the commands, install.sh on ARM machines (also qemu-system-arm)
	$(TESTBED)test-arm.sh

test-service: $(VENV)/ready  ## the service under a real systemd, in a container (root; Debian's systemd-container, mmdebstrap; as test-sources, but ffmpeg)
	$(TESTBED)test-service.sh

test-power: $(VENV)/ready  ## 40 power cuts and 40 kills of install.sh, MOMENTS=8 for fewer (root; an hour; as above, and Debian's xfsprogs)
	$(TESTBED)test-power.sh

test-card: $(VENV)/ready  ## the README's commands from a blank card to a live service, bookworm and trixie (root; as above, and a network)
	$(TESTBED)test-card.sh

test-deb: $(VENV)/ready  ## the Debian package under apt, in bookworm and trixie, amd64 and emulated arm64 (root; as test-service and test-arm, and Debian's lintian, piuparts)
	$(TESTBED)test-deb.sh

test-cluster: $(VENV)/ready  ## the example of docs/scale.md on a Ray cluster of two nodes, in an environment of its own (a network once)
	$(BIN)/python tests/cluster.py

test-camera: $(VENV)/ready  ## unmodified picamera2 on an emulated machine with the vimc driver (root; slow; Debian's qemu-system-x86)
	$(TESTBED)test-camera.sh

test-ha: $(VENV)/ready  ## a real Home Assistant beside the service, MINUTES=10 with the camera off (root; Debian's mmdebstrap, mosquitto; a network once)
	$(TESTBED)test-ha.sh

test-web: $(VENV)/ready  ## the live page in a browser, its server and metrics (Debian's chromium, prometheus)
	EDGE_WEB_REQUIRED=1 $(BIN)/python -m pytest tests/test_web.py tests/test_proxy.py tests/test_page_live.py tests/test_metrics.py tests/test_fuzz_requests.py

test-mqtt: $(VENV)/ready  ## events and states at a real broker, over passwords, TLS and restarts (Debian's mosquitto, mosquitto-clients)
	EDGE_MQTT_REQUIRED=1 $(BIN)/python -m pytest tests/test_mqtt.py tests/test_doctor_network.py

test-sources: $(VENV)/ready  ## network cameras and video files by the figures, FULL=1 for 200 reconnects and an hour (Debian's gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-ugly, ffmpeg)
	$(BIN)/python benchmarks/sources.py $(if $(FULL),,--quick)

soak: $(VENV)/ready  ## the service for 200,000 frames and an hour, while all around it goes wrong
	$(BIN)/python tests/soak.py --frames 200000 --minutes 60 --csv soak.csv

fuzz: $(VENV)/ready  ## 5,000 damaged images, 2,000 damaged models, 5,000 odd requests: each gives a result or one line
	$(BIN)/python tests/fuzz_pictures.py --count 5000 --seed 1
	$(BIN)/python tests/fuzz_models.py --count 2000 --seed 1 --runtime litert
	$(BIN)/python tests/fuzz_models.py --count 2000 --seed 1 --runtime tflite
	$(BIN)/python tests/fuzz_requests.py --count 5000 --seed 1

docs: $(VENV)/ready  ## build the documentation into build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

benchmark: $(VENV)/ready  ## measure the shipped models here, and print the README's table
	$(BIN)/python -m edge benchmark --runtime all --threads 1,2 --format markdown

instrument: $(VENV)/ready  ## compare edge-benchmark with litert-benchmark and itself, on an idle machine
	$(BIN)/python benchmarks/instrument.py

release: $(VENV)/ready  ## wheel, source archive, models and SHA256SUMS in dist/release, once version, changelog and tag agree
	$(BIN)/python deploy/release.py

deb: $(VENV)/ready  ## Debian packages of this checkout in dist/, ARCHITECTURES="amd64 arm64 armhf" for others (a network)
	exec env PYTHON=$(CURDIR)/$(BIN)/python deploy/deb/build.sh $(ARCHITECTURES)

sample: $(VENV)/ready  ## render the README's image of a hot dog again
	$(BIN)/python tests/data/render_hotdog.py

clean:  ## remove what make made
	rm -rf $(VENV) $(VENV)-oldest demo build dist soak.csv .mypy_cache .ruff_cache .pytest_cache

# The workstation: everything, at the tested versions, and tflite-support unpacked, whose schema of
# the metadata a test reads as an independent judge.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(call make-venv,$(VENV))
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/tflite-support --only-binary :all: \
	  --platform manylinux2014_x86_64 --python-version 3.10 --implementation cp tflite-support==0.4.4
	touch $@

# The device at the oldest supported versions: Debian bookworm's numpy and Pillow.
$(VENV)-oldest/ready: pyproject.toml constraints-oldest.txt
	@$(call make-venv,$(VENV)-oldest)
	$(VENV)-oldest/bin/pip install --quiet --constraint constraints-oldest.txt --editable .
	touch $@

define make-venv
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "$(PYTHON): must be Python 3.11 to 3.13; make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON): its venv module is missing; sudo apt install python3-venv" >&2; exit 1; }; \
	echo "making $(1) (some minutes the first time)"; \
	$(PYTHON) -m venv $(1)
endef
