# Everything from a fresh machine: `make demo` and `make test` create the environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-out

.PHONY: demo test lint types docs lab bench wheel clean
.DEFAULT_GOAL := demo

$(VENV)/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,hub,lm-eval,parquet,ray]"
	touch $@

demo: $(VENV)/core  ## restore the example fine-tune and print before and after
	@mkdir -p $(DEMO)
	$(BIN)/recover-align examples/aligned.pt examples/tuned.pt -o $(DEMO)/restored.pt --task examples/task.jsonl --overwrite

test: $(VENV)/dev  ## all tests, a process a core, at most four
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/dev
	$(BIN)/mypy

docs: $(VENV)/dev  ## write docs/cli.md from the commands' own help
	$(BIN)/python docs/generate.py

lab: $(VENV)/dev  ## train the example pair again from nothing
	$(BIN)/python -m bench.lab --out examples

bench: $(VENV)/dev  ## every benchmark against its target, on a machine that does nothing else
	@mkdir -p bench/results
	@for part in speed files "baseline examples/aligned.pt examples/tuned.pt examples/task.jsonl"; do \
		$(BIN)/python -m bench.$$part 2>/dev/null || echo "MISS  in bench.$$part"; done | tee bench/results/bench.txt
	@! grep -q '^MISS' bench/results/bench.txt

wheel: $(VENV)/dev  ## build the wheel and test it in a clean environment, from another directory
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist
	$(PYTHON) -m venv build/clean
	build/clean/bin/pip install --quiet --disable-pip-version-check -c constraints.txt "$$(ls dist/*.whl)[hub,parquet]" "pytest>=8.2" "pytest-xdist>=3.6" "hypothesis>=6.100"
	cd build && clean/bin/recover-align --version && OMP_NUM_THREADS=1 clean/bin/python -m pytest -q -c ../pyproject.toml --rootdir .. -o pythonpath=tests -n auto --maxprocesses 4 --dist loadfile \
		../tests/prompts ../tests/report/test_render.py ../tests/gate/test_decide.py ../tests/judges/test_others.py ../tests/cli/test_commands.py

clean:
	rm -rf $(VENV) build dist $(DEMO) .coverage .pytest_cache .mypy_cache .ruff_cache
