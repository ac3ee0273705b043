# make app    sets everything up and opens the app
# make test   sets everything up and runs all checks and tests
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help app test lint bench train setup setup-dev clean

help:
	@echo "make app     set up and open the app"
	@echo "make test    set up, check the code, run all tests (with a real browser)"
	@echo "make lint    check the code only (ruff, mypy)"
	@echo "make train   the reference training run (hours; UNMASK_DATA=DIR says where the data are)"
	@echo "make bench   measure speed and memory on this machine"
	@echo "make clean   remove .venv and caches; runs and data stay"

setup:
	@bash .ci/setup.sh app

setup-dev:
	@bash .ci/setup.sh dev

app: setup
	@.venv/bin/streamlit run app/main.py

train: setup
	@.venv/bin/python -m train

bench: setup
	@.venv/bin/python -m tests.bench

lint: setup-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# Two processes, whatever the machine has: each holds torch and the networks. The browser tests measure how soon a page
# answers, so they have the machine to themselves.
test: lint
	.venv/bin/python -m pytest -m "not browser" --numprocesses 2 --dist worksteal
	.venv/bin/python -m pytest -m browser

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find app detector train tests -name __pycache__ -type d -prune -exec rm -rf {} +
