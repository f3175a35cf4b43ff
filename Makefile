# Moonwalk's commands. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PORT ?= 8000
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
# What the demo and `make run` serve with: hashed static files, no DEBUG.
SERVE := MOONWALK_HASHED_STATIC=True
# Where it is set (containers like it), every process would compile the project, and pytest all tests, anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-full run test test-all lint format bench screenshots requirements

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(VENV)/.run staticfiles/.made ## a laundry's figures in your browser, from nothing
	@$(MANAGE) demo
	@printf '\nMoonwalk is at http://127.0.0.1:$(PORT)/ (Ctrl-C stops it)\n'
	@$(SERVE) $(BIN)/gunicorn moonwalk.wsgi --config moonwalk/gunicorn.py --bind 127.0.0.1:$(PORT)

demo-full: $(VENV)/.run staticfiles/.made ## the same with worker, clock and Redis: all that happens by itself
	@bash scripts/test-needs redis-server
	@$(SERVE) $(BIN)/python scripts/demo_full.py --port $(PORT)

run: $(VENV)/.run ## the development server: DEBUG, reloads when code changes
	@DEBUG=True $(MANAGE) migrate --verbosity 0
	@DEBUG=True $(MANAGE) runserver 127.0.0.1:$(PORT)

test: $(VENV)/.dev ## install what the tests need, then run them, on SQLite and on PostgreSQL
	@bash scripts/run-tests -m "not full"

test-all: $(VENV)/.dev ## the full matrix too
	@bash scripts/run-tests $(ARGS)

lint: $(VENV)/.dev ## ruff
	@$(BIN)/ruff check .

bench: $(VENV)/.dev ## seconds and memory of a refresh at 1x, 10x and 100x, and of pages in a browser
	@$(BIN)/python bench/run.py $(ARGS)

screenshots: $(VENV)/.dev ## take the pictures of docs/screenshots anew, from the demo
	@bash scripts/test-needs
	@$(BIN)/python scripts/screenshots.py

requirements: $(VENV)/.dev ## pin requirements.txt and requirements-dev.txt anew
	@for list in requirements requirements-dev; do \
	  $(BIN)/pip-compile --quiet --upgrade --strip-extras --no-header --annotation-style=line --no-emit-index-url \
	    --no-emit-trusted-host --no-emit-find-links --output-file $$list.txt $$list.in; done

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Moonwalk needs Python 3.11 or newer: on Debian, apt-get install python3 python3-venv."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Moonwalk needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "- Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian: apt-get install python3-venv."; exit 1; }

# The stamps carry no content: a newer list of requirements makes them anew.
$(VENV)/.run: requirements.txt | $(BIN)/python
	@echo "- Installing requirements.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@echo "- Installing requirements-dev.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

staticfiles/.made: $(VENV)/.run moonwalk/static.py $(shell find static -type f)
	@echo "- Collecting static files"
	@$(SERVE) $(MANAGE) collectstatic --no-input --clear --verbosity 0
	@touch $@
