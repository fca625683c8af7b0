.DEFAULT_GOAL := help
.PHONY: help install test slow bench lint format types verify run ci

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install:  ## install convbench and its development tools, editable
	pip install -e ".[dev]"
	pre-commit install

test:  ## run the tests, some minutes
	pytest

slow:  ## run the tests that compile for long
	pytest -m slow

bench:  ## time all algorithms on a small fixed set, before and after a change
	pytest --benchmark-only --benchmark-autosave --benchmark-compare

lint:  ## check code and layout with ruff
	ruff check .
	ruff format --check .

format:  ## format the code with ruff
	ruff check --fix .
	ruff format .

types:  ## check types with mypy
	mypy

verify:  ## compare every algorithm with the oracle
	convbench verify

run:  ## time the quick suite
	convbench run

ci:  ## run the gate in a fresh environment
	.ci/run
