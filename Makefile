# `make` goes from a fresh clone to results/demo/paper.pdf and report.html;
# `make test` runs every check.  Both make the environment they need.

PYTHON ?= python3
TORCH ?= torch==2.13.0
CORES ?= $(shell nproc)
SCALE ?= demo
SETTINGS = --config default_scale=$(SCALE)
REPORT = results/$(SCALE)/report.html
SIZES ?= 5 8 10
PARTS ?= test-modules test-workflow

VENV := .venv
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: all run report env tex from-archive preview test test-modules test-workflow test-slurm lint bench lock clean

all:
	@mkdir -p .cache
	@flock --nonblock --conflict-exit-code 9 .cache/run.lock $(MAKE) -s run || { \
	    [ $$? -ne 9 ] || echo "Another make, or what it left running, works here." >&2; \
	    exit 1; }

# Only one make comes here at a time.  A run that was killed leaves its mark, and
# Snakemake's lock.
run: env tex
	[ ! -e .cache/running ] || snakemake --unlock --quiet all
	touch .cache/running
	snakemake --cores $(CORES) --rerun-incomplete --show-failed-logs --quiet rules host \
	    $(SETTINGS) || { status=$$?; rm .cache/running; exit $$status; }
	rm .cache/running
	$(MAKE) -s report
	@echo
	@for file in paper.pdf report.html; do \
	    [ ! -e results/$(SCALE)/$$file ] || echo "  results/$(SCALE)/$$file"; done

# Snakemake's own, of what was made; made again only if something in it is newer.
report: env
	@[ -e $(REPORT) ] && [ -z "$$(find results/$(SCALE) workflow/report -type f \
	    -newer $(REPORT) -print -quit)" ] \
	    || snakemake --report $(REPORT) --report-stylesheet workflow/report/style.css \
	    --quiet all $(SETTINGS)

env: $(READY)

# torch is installed apart from the lock: its build (CPU, CUDA) is the machine's choice,
# for instance  make TORCH="torch==2.13.0 --index-url ..."
$(READY): envs/requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	pip install --quiet --require-hashes -r envs/requirements.lock
	pip install --quiet $(TORCH)
	pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

tex: env
	@python -m mathprobe tex || true # without TeX all but the PDF is made

# What `mathprobe archive` packed, typeset here; nothing is trained.
from-archive: env tex
	python -m mathprobe unpack $(ARCHIVE) .cache/archive
	snakemake --cores $(CORES) --show-failed-logs --quiet rules host \
	    --configfile .cache/archive/config.json
	$(MAKE) -s report SCALE=record SETTINGS="--configfile .cache/archive/config.json"
	@echo "  results/record/paper.pdf"

# The README's picture: the demo's own figure.
preview: run
	pypdfium2 render results/demo/figures/generalization/ood_eigenvalues_n2.pdf --output .cache \
	    --prefix preview --format png --scale 3 2> .cache/preview.log \
	    || { cat .cache/preview.log >&2; exit 1; }
	mv .cache/preview1.png paper/preview.png

test: env tex lint
	$(MAKE) -s -j3 --output-sync=target $(PARTS)

# The first two take about as long as each other; the third waits most of its time.
test-modules: env
	pytest --ignore tests/test_workflow.py

test-workflow: env tex
	pytest tests/test_workflow.py

# On a real Slurm of one node, which is installed with apt where it is missing.
test-slurm: env
	pytest -m slurm tests/slurm

lint: env
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

# Timings are benchmarks, never tests.
bench: env
	python benchmarks/run.py results/benchmarks.json --sizes $(SIZES)

# Needs uv (pip install uv); the only place where versions are chosen.
lock:
	uv pip compile envs/requirements.in --universal --python-version 3.11 \
	    --generate-hashes --no-strip-extras --no-annotate --no-header --no-emit-index-url \
	    -o envs/requirements.lock

clean:
	rm -rf results logs .snakemake
