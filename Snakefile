# Workflow from random matrices to a typeset paper.  `snakemake -c2` builds the default
# scale, and `snakemake -c2 results/...` a single result.  `snakemake --profile slurm`
# builds the scale of the papers on a cluster.
from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/front.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/linalg.smk"
include: "workflow/rules/arith.smk"
include: "workflow/rules/paper.smk"


rule all:
    default_target: True
    input:
        default_targets(CATALOG.default_scale),
    message:
        f"all results of scale {CATALOG.default_scale} are made"


# These jobs take seconds, so they run on the machine of the main Snakemake process.
localrules:
    linalg_testset,
    arith_reuse,
    arith_table,
    paper_facts,
    paper_table,
    paper_runs,
    paper_costs,
    paper_findings,
    paper_latex,
    paper_macros,
    paper_notebook,
    paper_pdf,


complete_rules()


onstart:
    if workflow.is_main_process:
        check_disk()


onsuccess:
    print(made(), file=sys.stderr)


onerror:
    if FAILED.jobs:
        print(FAILED.report(), file=sys.stderr)
