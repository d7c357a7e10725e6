# The two commands are `make serve` and `make test`. Everything is installed into .venv, without root,
# from uv.lock when uv is there, else with pip from requirements/*.txt, which are exported from uv.lock.

PYTHON ?= python3
VENV := .venv
UV := $(shell command -v uv 2>/dev/null)
# pyvips is source only; with this it never builds against a libvips of the system (docs/adr/0003).
export PKG_CONFIG := /bin/false
# Rewriting 300 files of tests, for each process that runs them, is a third of what `make unit` takes.
unexport PYTHONDONTWRITEBYTECODE
# Some wait and some compute: four on two cores, and who is done takes over.
SIDE_BY_SIDE := -n 4 --dist worksteal
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet

.PHONY: serve test check lint unit bench drill soak nightly lock clean

serve: $(VENV)/.serve
	$(VENV)/bin/imagemill serve --unsigned --sample

test: $(VENV)/.test ## those that need no machine to themselves side by side, then the others one after the other
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) tests/unit tests/contract tests/golden
	$(VENV)/bin/python -m pytest tests/integration tests/e2e

unit: $(VENV)/.test
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) tests/unit tests/contract

check: lint
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) tests/unit tests/contract

lint: $(VENV)/.check
	$(VENV)/bin/ruff format --check src tests bench
	$(VENV)/bin/ruff check src tests bench
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.test
	$(VENV)/bin/python bench/peers.py

drill: $(VENV)/.test ## kill -9 at random; VICTIM=api, jobs, engine, s3, worker or temporal: only these
	$(VENV)/bin/python tests/drill.py $(or $(VICTIM),all) --kills $(or $(KILLS),20) --seconds $(or $(SECONDS),600)

soak: $(VENV)/.test ## 20,000 mixed and bad requests: nothing grows, nothing is left
	$(VENV)/bin/python tests/soak.py --requests $(or $(REQUESTS),20000)

nightly: soak drill ## what takes too long for every change

lock: ## after a change of pyproject.toml; needs uv
	uv lock
	uv export --frozen --quiet --no-header --no-emit-project --no-default-groups --group build -o requirements/serve.txt
	uv export --frozen --quiet --no-header --no-emit-project --no-default-groups --group test -o requirements/test.txt
	uv export --frozen --quiet --no-header --no-emit-project --no-default-groups --group dev -o requirements/check.txt
	uv export --frozen --quiet --no-header --no-emit-project --only-group build -o requirements/build.txt
	uv export --frozen --quiet --no-header --no-emit-project --no-default-groups -o requirements/image.txt
	for extra in faces heic quality redis s3 temporal; do uv export --frozen --quiet --no-header --no-emit-project --no-default-groups \
	  --extra $$extra -o requirements/image-$$extra.txt || exit; done

clean:
	rm -rf $(VENV) .tools dist build

ifdef UV
$(VENV)/.serve: uv.lock
	uv sync --frozen --quiet --no-default-groups
	touch $@
$(VENV)/.test: uv.lock
	uv sync --frozen --quiet --no-default-groups --group test
	touch $@ $(VENV)/.serve
$(VENV)/.check: uv.lock
	uv sync --frozen --quiet --no-default-groups --group dev
	touch $@ $(VENV)/.test $(VENV)/.serve
else
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  $(PYTHON) -m pip install --quiet --target .tools virtualenv && PYTHONPATH=.tools $(PYTHON) -m virtualenv --quiet $(VENV); }
$(VENV)/.%: requirements/%.txt $(VENV)/bin/python
	$(PIP) install --require-hashes -r $<
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@
endif
