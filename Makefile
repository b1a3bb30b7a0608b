# Two commands on a fresh machine: `make demo` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TESTED := $(VENV)/.ready-to-test

.PHONY: setup demo console screenshots test check browser bench bench-large drill clean

setup: $(TESTED)

# What the demo needs; the tools of the tests come with the first target that needs them.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || \
	  { echo "Python 3.11 to 3.14 is needed; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[everyone]'
	@touch $@

$(TESTED): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

demo: $(READY)
	@$(BIN)/python examples/demo.py

# The demo's ledger in a browser: it says where, until Ctrl-C.
$(VENV)/.ready-to-serve: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[charts,service]'
	@touch $@

.demo/attempts.ledger: $(READY)
	@$(BIN)/python examples/demo.py

console: $(VENV)/.ready-to-serve .demo/attempts.ledger
	@$(BIN)/attempt-ledger --ledger .demo/attempts.ledger serve

# The pictures of docs/console.md, taken of the console as it is.
screenshots: $(TESTED) browser .demo/attempts.ledger
	$(BIN)/python docs/make_screenshots.py

check: $(TESTED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Pages are opened in a real browser.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && { apt-get install -y -qq chromium || \
	  { apt-get update -qq && apt-get install -y -qq chromium; }; } >/dev/null 2>&1; } || \
	  { echo "The tests open pages in Chromium, which is not here: apt-get install -y chromium" >&2; exit 1; }

test: check browser
	$(BIN)/python -m pytest -n 3 --dist worksteal

# All of them (about twenty minutes), or some: make drill DRILL=kills, make drill DRILL="clock --slice".
drill: $(TESTED)
	$(BIN)/python -m drills $(DRILL)
	$(if $(DRILL),,$(BIN)/python -m pytest tests/test_model.py --hypothesis-profile deep)

bench: $(TESTED) browser
	$(BIN)/python -m benchmarks $(BENCH)

# An append to twenty million events beside one to a million, on both stores: half an hour, 30 GB.
bench-large: $(TESTED)
	$(BIN)/python -m benchmarks large --events 20000000

clean:
	rm -rf $(VENV) .demo .benchmarks
