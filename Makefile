# Immure's one way in. `make help` lists what a person does here.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SWIFT ?= swift
BIN := .build/release
PREFIX ?= /usr/local
SECONDS_EACH ?= 60
# Which functions a start runs, in order: found by running the first link, for the second (docs/speed.md). Not kept in git.
ORDER := .deps/link-order.txt
export IMMURE_LINK_ORDER := $(wildcard $(ORDER))
# Whether there is a static ISA-L to inflate layers with (Scripts/isal.sh); asked anew for each command.
export IMMURE_ISAL = $(shell test ! -e .deps/lib/libisal.a || echo 1)
# The guest is built by the clang that comes with Swift.
CLANG ?= $(dir $(realpath $(shell command -v $(SWIFT))))clang

.PHONY: help packages guest isal build build-tests test test-all test-kernels bench fuzz demo docs install dist lint clean

help: ## List these
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

guest: # The program that is the first process in a box; carried by immure.
	@$(MAKE) -C guest guest GUEST_CC="$(CLANG)"

isal: # A static library that inflates layers faster than zlib.
	@Scripts/isal.sh

packages-%: # The Debian packages that a task needs.
	@Scripts/install-packages.sh $*

build: packages-build guest isal ## Release executables and their links in .build/release
	$(SWIFT) build -c release
	@Scripts/link-order.sh $(BIN) $(ORDER)
	@test ! -e $(ORDER) || IMMURE_LINK_ORDER=$(ORDER) $(SWIFT) build -c release
	@Scripts/link-names.sh $(BIN)

# One release build serves executables and tests: nothing is compiled twice.
build-tests: packages-test guest isal
	$(SWIFT) build -c release --build-tests
	@Scripts/link-names.sh $(BIN)

test: build-tests ## Build, and run every suite within its budget; SUITES="PolicyTests …" for some
	@Scripts/test.sh $(SUITES)

test-all: packages-kernels packages-workloads build-tests ## The same with nothing sampled, and test-kernels; writes docs/test-results.md
	@Scripts/test-all.sh $(SUITES)

test-kernels: packages-kernels build ## Debian's stock kernels with systemd, emulated; writes docs/kernels.md
	@Scripts/test-kernels.sh $(BIN)

bench: packages-bench build ## Measure start, memory and filters against bubblewrap, crun, runc and the floor
	@Scripts/bench.sh $(BIN)

fuzz: packages-build ## Run each fuzz target SECONDS_EACH=60; NAMES="FuzzTar …" for some
	@Scripts/fuzz.sh --seconds $(SECONDS_EACH) $(NAMES)

demo: packages-demo build ## One hostile program behind each wall, and what a canary outside saw
	@Scripts/demo.sh $(BIN)

docs: ## Make the pages of docs/ that the code's tables are written into
	@Scripts/pages.sh $(SWIFT)

install: build ## Into PREFIX=/usr/local
	@Scripts/install.sh $(BIN) "$(DESTDIR)$(PREFIX)"

dist: packages-dist build ## A tar.gz and a .deb that need nothing, in dist/
	@Scripts/dist.sh $(BIN)

lint: ## Check the format of every Swift file
	@$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests $(wildcard Fuzz)

clean: ## Remove what was built
	rm -rf .build .build-fuzz .deps dist
