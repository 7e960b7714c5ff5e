# Everything a developer runs. ARGS goes to the command behind a target: make test ARGS="-k routes"
PY := .venv/bin/python
FUNC := $(if $(shell command -v func),--func)

.PHONY: setup demo start test fuzz survival soak check bench requirements clean

setup:          # what the other targets need; quick when nothing has changed
	@PYTHON="$(PYTHON)" tools/setup.sh

demo: setup     # one spoken call through the whole system; leaves out/demo/call.wav
	@$(PY) -m emulator demo $(ARGS)

start: setup    # the local stack until Ctrl-C, on `func start` where Core Tools are installed
	@$(PY) -m emulator up $(FUNC) $(ARGS)

test: setup
	@$(PY) -m pytest -n 3 --dist worksteal $(ARGS)

fuzz: setup     # the parsers and edges of both webhooks on 100,000 odd requests, with figures; about ten minutes
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-12500} $(PY) -m pytest tests/fuzz -s --timeout 0 --hypothesis-show-statistics $(ARGS)

survival: setup # what callers hear when a pod, an agent or a dependency fails: the table of docs/reliability.md
	@$(PY) -m pytest tests/emulated/survival -s $(ARGS)

soak: setup     # minutes of load and faults, and the image's recipe without an engine, with figures
	@$(PY) -m pytest -m soak -s tests/load tests/unit/deploy $(ARGS)

check: setup
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) tools/requirements.py --check

bench: setup    # figures; on a quiet machine
	@$(PY) -m bench.cold_start
	@$(PY) -m bench.answer
	@$(PY) -m bench.ivr
	@$(PY) -m bench.finalise
	@$(PY) -m bench.media

requirements: setup  # export pyproject.toml's dependencies anew
	@$(PY) tools/requirements.py

clean:
	rm -rf .venv .setup out emulator/azurite/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
