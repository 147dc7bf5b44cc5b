# `make` builds results/demo/paper.pdf and report.html from a fresh clone, and
# `make test` runs all checks.  Both create the Python environment that they need.

PYTHON ?= python3
TORCH ?= torch==2.13.0
CORES ?= all
SCALE ?= demo
SETTINGS = --config default_scale=$(SCALE)
REPORT = results/$(SCALE)/report.html
SIZES ?= 5 8 10
PARTS ?= test-modules test-processes test-workflow

# Snakemake needs a folder for its cache, but HOME may be missing or not writable.
XDG_CACHE_HOME ?= $(or $(HOME),/dev/null)/.cache
ifeq ($(shell mkdir -p "$(XDG_CACHE_HOME)" 2> /dev/null && [ -w "$(XDG_CACHE_HOME)" ] && echo yes),)
export XDG_CACHE_HOME := $(CURDIR)/.cache/xdg
endif

VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# Variables of the user must not change what Python and pip import and install.  Those
# that select a package index and a network connection stay.
CONNECTION = %_URL %_HOST %_PROXY %_CERT %_DIR %_LINKS %_INDEX %_TIMEOUT %_RETRIES %_FILE
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))
unexport $(filter-out $(CONNECTION),$(filter PIP_%,$(.VARIABLES)))
export PIP_USER := 0

# An environment contains its own path, so a moved or copied one is made again.
ifneq ($(shell cat $(READY) 2> /dev/null),$(CURDIR))
.PHONY: $(READY)
endif

.PHONY: all run report env tex from-archive preview test test-modules test-processes test-workflow test-slurm lint bench bench-tables check-gpu lock clean

# `make` and all processes that it starts share a lock.
define LOCK
import fcntl, os, sys
lock = open(".cache/run.lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit("Another make, or a process that it started, is running here.")
except OSError as error:
    sys.exit(f"{lock.name}: the file system has no locks (flock: {error.strerror})")
os.set_inheritable(lock.fileno(), True)
os.execvp(sys.argv[1], sys.argv[1:])
endef
export LOCK

all:
	@mkdir -p .cache
	@$(PYTHON) -c "$$LOCK" $(MAKE) -s run

# Called under the lock of `all`.  A killed run leaves .cache/running and the lock of
# Snakemake, which the next run removes.
run: env tex
	[ ! -e .cache/running ] || snakemake --unlock --quiet all
	touch .cache/running
	snakemake --cores $(CORES) --rerun-incomplete --quiet reason host $(SETTINGS) \
	    || { status=$$?; rm .cache/running; exit $$status; }
	rm .cache/running
	$(MAKE) -s report
	@echo
	@for file in paper.pdf report.html; do \
	    [ ! -e results/$(SCALE)/$$file ] || echo "  results/$(SCALE)/$$file"; done

# Snakemake's report of all results.  It is rebuilt only if one of its files is newer.
report: env
	@[ -e $(REPORT) ] && [ -z "$$(find results/$(SCALE)/ workflow/report/ -type f \
	    -newer $(REPORT))" ] \
	    || snakemake --report $(REPORT) --report-stylesheet workflow/report/style.css \
	    --quiet all $(SETTINGS)

env: $(READY)

# torch is not in the lock file, because its build (CPU or CUDA) depends on the machine:
# for example  make TORCH="torch==2.13.0 --index-url ..."
$(READY): envs/requirements.lock pyproject.toml
	@PYTHONPATH=src $(PYTHON) -m mathprobe.clone
	[ "$$(cat $@ 2> /dev/null)" = "$(CURDIR)" ] || rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r envs/requirements.lock
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation --editable .
	$(VENV)/bin/python -c "import mathprobe, snakemake, torch"
	echo "$(CURDIR)" > $@

tex: env
	@python -m mathprobe tex || true # without LaTeX, `make` builds all but the PDF

# Typeset an archive of `mathprobe archive` without training anything.
from-archive: env tex
	python -m mathprobe unpack $(ARCHIVE) .cache/archive
	snakemake --cores $(CORES) --quiet reason host \
	    --configfile .cache/archive/config.json
	$(MAKE) -s report SCALE=record SETTINGS="--configfile .cache/archive/config.json"
	@echo "  results/record/paper.pdf"

# The picture of the README: a figure of the demo scale.
preview: run
	pypdfium2 render results/demo/figures/generalization/ood_eigenvalues_n2.pdf --output .cache \
	    --prefix preview --format png --scale 3 2> .cache/preview.log \
	    || { cat .cache/preview.log >&2; exit 1; }
	mv .cache/preview1.png paper/preview.png

test: env tex
	$(MAKE) -s -j $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) lint $(PARTS)

# `test` runs these in parallel.  Tests of processes kill trainings or start Snakemake;
# tests of the workflow need the results of the smoke scale.
PROCESS_TESTS := tests/surroundings tests/test_kill.py tests/test_workflow_arith.py
WORKFLOW_TESTS := tests/test_workflow.py tests/test_commands.py tests/surroundings/test_hostile.py

test-modules: env
	pytest $(PROCESS_TESTS:%=--ignore %) $(WORKFLOW_TESTS:%=--ignore %)

test-processes: env
	pytest $(PROCESS_TESTS) $(WORKFLOW_TESTS:%=--ignore %)

test-workflow: env tex
	pytest $(WORKFLOW_TESTS)

# On a real Slurm cluster of one node.  Slurm is installed with apt if it is missing.
test-slurm: env
	pytest -m slurm tests/slurm

lint: env
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

# No test checks timings; these are benchmarks.
bench: env
	python benchmarks/run.py --sizes $(SIZES)

# The tables of benchmarks/README.md, from benchmarks/measured/*.json.
bench-tables: env
	python benchmarks/tables.py

# Tests, a resumed training, rates and the smoke scale on a GPU; takes a few minutes.
check-gpu: env
	@python benchmarks/check_gpu.py

# Choose the versions of all packages.  Needs uv (pip install uv).
lock:
	uv pip compile envs/requirements.in --universal --python-version 3.11 \
	    --generate-hashes --no-strip-extras --no-annotate --no-header --no-emit-index-url \
	    -o envs/requirements.lock

clean:
	rm -rf results logs .snakemake
