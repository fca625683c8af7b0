.DEFAULT_GOAL := help
.PHONY: help install test slow bench lint format types verify run ci

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install:  ## install convbench and everything a contributor needs, editable
	pip install -e ".[dev]"
	pre-commit install

test:  ## the tests (about three minutes)
	pytest

slow:  ## the tests that compile for long
	pytest -m slow

bench:  ## time every algorithm on a small fixed set: run before and after a change
	pytest --benchmark-only --benchmark-autosave --benchmark-compare

lint:  ## what ruff has to say
	ruff check .
	ruff format --check .

format:  ## let ruff lay the code out
	ruff check --fix .
	ruff format .

types:  ## what mypy has to say
	mypy

verify:  ## hold every algorithm to the oracle
	convbench verify

run:  ## the quick suite
	convbench run

ci:  ## everything the gate runs, in a fresh environment
	.ci/run
