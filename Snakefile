# From matrices to a typeset paper.  `snakemake -c2` makes the default scale; a path
# under results/ makes one thing; `snakemake --profile slurm` makes the paper's scale on a
# cluster.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


report: "workflow/report/front.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/linalg.smk"
include: "workflow/rules/arith.smk"
include: "workflow/rules/paper.smk"


rule all:
    default_target: True
    input:
        outcome(CATALOG.default_scale),


# Seconds each: they run where Snakemake runs.
localrules:
    linalg_testset,
    arith_reuse,
    arith_table,
    paper_facts,
    paper_table,
    paper_runs,
    paper_latex,
    paper_macros,
    paper_notebook,
    paper_pdf,


complete_rules()
