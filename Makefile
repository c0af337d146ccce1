# Each recipe line is something that a person could type. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test check unit peers soak accept-lb accept-containers bench papers lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

demo: $(VENV)/ready peers  ## watch HAProxy follow a real gossip cluster (90 s at most)
	$(BIN)/gossip-lb demo

test: check unit  ## everything that must hold before a commit lands

check: $(VENV)/ready  ## style, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python tests/tools/ceilings.py

unit: $(VENV)/ready peers  ## all tests, then coverage of the pure parts by their own tests
	@# Most tests wait, so three processes share two cores, with coverage beside them. Containers come afterwards:
	@# their tests measure what a site loses while it changes, and need the machine to themselves.
	$(BIN)/python tests/tools/own_coverage.py > .own_coverage.log 2>&1 & coverage=$$!; \
	$(BIN)/python -m pytest -q -n 3 --dist loadfile tests --ignore tests/containers; tests=$$?; \
	wait $$coverage; covered=$$?; cat .own_coverage.log; rm .own_coverage.log; \
	$(BIN)/python -m pytest -q tests/containers; containers=$$?; \
	exit $$((tests | covered | containers))

soak: $(VENV)/ready peers  ## long: 20,000 examples per property, 50,000 of the state machine, 1,000 seeds, 20 mixed clusters
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -q -m 'not soak' tests/wire tests/swim tests/serf tests/lb --timeout 3600
	$(BIN)/gossip sim swarm --seeds 0..999 --jobs 2
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -q tests/sim/test_state_machine.py --timeout 7200
	$(BIN)/python -m pytest -q -m soak tests --ignore tests/accept_lb --ignore tests/containers --timeout 3600

accept-lb: $(VENV)/ready peers  ## long: kills, swaps under load, against real HAProxy
	$(BIN)/python -m pytest -q -m soak tests/accept_lb --timeout 3600

accept-containers: $(VENV)/ready peers  ## long: sites of containers under load on the engine: scale, stop, kill, pause, move
	$(BIN)/python -m pytest -q -m soak tests/containers --timeout 3600 -o log_cli=true --log-cli-level=INFO

bench: $(VENV)/ready peers  ## figures, as ratios to a peer in the same run; an hour
	$(BIN)/python benchmarks/members_startup.py
	$(BIN)/python -m benchmarks.simulator_speed
	$(BIN)/python -m benchmarks.convergence

papers: $(VENV)/ready  ## long: the tables of the papers, in the simulator (an hour and a half)
	$(BIN)/pip install -q --require-hashes -r requirements-bench.lock
	$(BIN)/python -m benchmarks.papers.swim --svg docs/results/swim.svg
	$(BIN)/python -m benchmarks.papers.lifeguard --svg docs/results/lifeguard.svg
	$(BIN)/python -m benchmarks.papers.rapid --svg docs/results/rapid.svg

peers:  ## the real programs that tests and demo talk to
	@command -v haproxy >/dev/null && command -v serf >/dev/null && command -v strace >/dev/null || \
	  { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends haproxy serf strace; }
	@[ ! -S /var/run/docker.sock ] || { command -v debootstrap && { docker compose version || docker-compose version; }; } >/dev/null 2>&1 || \
	  { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends debootstrap docker-compose; }

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV) || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	touch $@

lock:  ## resolve the lock files anew from pyproject.toml
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --upgrade --extra lb --extra mdns --extra pretty --group dev --generate-hashes --no-header --no-annotate pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --extra lb -c requirements.lock --generate-hashes --no-header --no-annotate pyproject.toml -o images/requirements.lock
	$(BIN)/uv pip compile -q --upgrade --group bench -c requirements.lock --generate-hashes --no-header --no-annotate -o requirements-bench.lock

clean:  ## remove what the targets above made
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
