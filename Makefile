# `make demo` runs the whole experiment, `make test` the tests; both first make the virtual environment in .venv.
PYTHON ?= python3

.PHONY: demo test clean

demo: .venv/ready
	.venv/bin/paxion quickstart --out runs/demo

test: .venv/ready
	.venv/bin/python -m pytest

.venv/ready: pyproject.toml requirements/constraints.txt requirements/vocabularies.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "paxion needs Python 3.11 or newer; name one with: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e ".[dev]"
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/vocabularies.txt
	touch $@

clean:
	rm -rf .venv runs
