# The words of README.md and of .ci/run. Every one of them sets up first; that takes no time when nothing is to do.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install demo serve test check audit fuzz chaos bench docs clean

help: ## Show these words
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Set up: .venv, the pinned dependencies, the shipped datasets
	@$(PYTHON) scripts/install.py

demo: install ## Train and test two networks on real images through the REST API
	@$(BIN)/dht demo

serve: install ## Run the service until Ctrl-C (docs/settings.md lists PORT, STORAGE_DIR and all else)
	@$(BIN)/dht serve

# A test that kills the program it runs in is tried by the next one, so there is an end to these.
test: install ## Run all tests, two files at a time
	@OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 2

check: install ## Check style, format, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: install ## Look for known vulnerabilities of the dependencies; asks a service on the internet
	@$(BIN)/python scripts/audit.py

fuzz: install ## Try the whole API with generated requests
	@$(BIN)/python tests/api/fuzz.py

chaos: install ## Hurt a working service for minutes, then look for all it acknowledged (SEED=7 MINUTES=5)
	@$(BIN)/python tests/chaos/chaos.py $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))
	@$(BIN)/python tests/chaos/writes.py $(if $(SEED),--seed $(SEED))

bench: install ## Measure how fast images are read and augmented, beside bare calls, and the memory of trainings
	@$(BIN)/python benchmarks/dataset_reading.py
	@$(BIN)/python benchmarks/augmentation.py
	@$(BIN)/python benchmarks/training_memory.py

docs: install ## Write the page of the augmentations anew, with its pictures
	@$(BIN)/python scripts/augmentation_page.py

clean: ## Remove what was installed and made, but never storage/ and datasets/
	rm -rf .venv build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
