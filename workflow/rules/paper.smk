# What a person reads: tidy tables, LaTeX, figures, the PDF and the report.


rule paper_table:
    input:
        models=files_of(table_folders),
        published=PUBLISHED,
        code=code("paper/published", "paper/tables"),
    output:
        f"{TABLES}/{{kind}}_{{task}}_n{{n}}.csv",
    log:
        f"logs/{TABLES}/{{kind}}_{{task}}_n{{n}}.log",
    benchmark:
        local(f"logs/{TABLES}/{{kind}}_{{task}}_n{{n}}.paper_table.tsv")
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=folders_read,
        missing=missing,
        target=table_target,
    shell:
        "python -m mathprobe table {wildcards.kind} {output} {params.target}"
        " --published {input.published} --models {params.folders}"
        " --missing {params.missing} > {log} 2>&1"


rule paper_runs:
    input:
        models=files_of(all_folders),
        published=PUBLISHED,
        code=code("paper/published", "paper/tables"),
    output:
        f"{TABLES}/runs.csv",
    log:
        f"logs/{TABLES}/runs.log",
    benchmark:
        local(f"logs/{TABLES}/runs.paper_runs.tsv")
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=folders_read,
    shell:
        "python -m mathprobe table runs {output}"
        " --published {input.published} --models {params.folders} > {log} 2>&1"


rule paper_facts:
    output:
        f"{TABLES}/facts.json",
    log:
        f"logs/{TABLES}/facts.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts,
    shell:
        "python -m mathprobe facts {wildcards.scale} {output} --config {CONFIG} > {log} 2>&1"


rule paper_latex:
    input:
        facts=f"{TABLES}/facts.json",
        tables=content_tables,
        published=PUBLISHED,
        errata=ERRATA,
        template=local("paper/templates/{content}.tex.j2"),
        shared=local("paper/templates/models.j2"),
        code=code(
            *("paper/formats", "paper/latex", "paper/naming", "paper/pivots"),
            *("paper/published", "paper/tables"),
        ),
    output:
        f"{TABLES}/{{content}}.tex",
    log:
        f"logs/{TABLES}/{{content}}.tex.log",
    benchmark:
        local(f"logs/{TABLES}/{{content}}.tex.paper_latex.tsv")
    localrule: True
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe latex {input.template} {output} --facts {input.facts}"
        " --published {input.published} --errata {input.errata} --tables {input.tables} > {log} 2>&1"


rule paper_macros:
    input:
        facts=f"{TABLES}/facts.json",
        tables=all_tables,
        published=PUBLISHED,
        errata=ERRATA,
        code=code(
            *("paper/formats", "paper/macros", "paper/naming", "paper/pivots"),
            *("paper/published", "paper/tables"),
        ),
    output:
        f"{TABLES}/numbers.tex",
    log:
        f"logs/{TABLES}/numbers.log",
    benchmark:
        local(f"logs/{TABLES}/numbers.paper_macros.tsv")
    localrule: True
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe macros {output} --facts {input.facts}"
        " --published {input.published} --errata {input.errata} --tables {input.tables} > {log} 2>&1"


# A rule for each notebook and scale: which figures there are depends on the scale, and
# Snakemake takes no function for an output.
for scale, notebook in itertools.product(CATALOG.shown_scales, NOTEBOOKS):

    rule:
        name:
            f"paper_{notebook}_{scale}"
        input:
            **notebook_inputs(scale)[notebook],
            notebook=local(f"paper/notebooks/{notebook}.py"),
            code=code(
                *("linalg/verifiers", "paper/arith_figures", "paper/circuit_figures"),
                *("paper/circuit_notebooks", "paper/circuits", "paper/figures"),
                *("paper/failure_figures", "paper/naming", "paper/notebooks"),
                *("paper/pivots", "paper/published", "paper/quanta", "paper/tables"),
                "studies/comparisons",
                "studies/findings",
            ),
        output:
            notebook=f"results/{scale}/notebooks/{notebook}.ipynb",
            html=f"results/{scale}/notebooks/{notebook}.html",
            figures=expand(
                "results/{scale}/figures/{figure}.{kind}",
                scale=scale,
                figure=notebook_figures(scale)[notebook],
                kind=["pdf", "svg"],
            ),
        log:
            run=f"logs/results/{scale}/notebooks/{notebook}.log",
            # Not for a storage: only a notebook that fails leaves it.
            notebook=local(f"logs/results/{scale}/notebooks/{notebook}.ipynb"),
        benchmark:
            local(f"logs/results/{scale}/notebooks/{notebook}.paper_notebook.tsv")
        localrule: True
        conda:
            "../../envs/python.yaml"
        params:
            parameters=notebook_parameters,
        shell:
            "python -m mathprobe notebook {input.notebook} {output.notebook} {output.html}"
            " --kept {log.notebook} --parameters {params.parameters} > {log.run} 2>&1"


rule paper_tex:
    output:
        local(PRIVATE_TEX),
    log:
        "logs/tex.log",
    priority: 100
    localrule: True
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe tex > {log} 2>&1"


rule paper_pdf:
    input:
        paper=local(["paper/main.tex", "paper/mathprobe.sty", "paper/references.bib"]),
        sections=local(sorted(Path("paper/sections").glob("*.tex"))),
        tables=expand(f"{TABLES}/{{content}}.tex", content=CONTENTS, allow_missing=True),
        numbers=f"{TABLES}/numbers.tex",
        figures=figures("pdf"),
        engine=tex_engine,
    output:
        "results/{scale}/paper.pdf",
    log:
        "logs/results/{scale}/paper.log",
    benchmark:
        local("logs/results/{scale}/paper.paper_pdf.tsv")
    localrule: True
    conda:
        "../../envs/tex.yaml"
    shell:
        "python -m mathprobe typeset {input.paper[0]} {output}"
        " --parts {input.tables} {input.numbers} {input.figures} > {log} 2>&1"


rule paper_costs:
    input:
        models=trained_runs,
        # So that their times are there.
        tables=all_tables,
        notebooks=notebook_pages,
    output:
        rules=f"{TABLES}/costs.csv",
        trainings=f"{TABLES}/trainings.csv",
    log:
        f"logs/{TABLES}/costs.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=folders_read,
        logs="logs/results/{scale}",
        rate=assumed_rate,
    shell:
        "python -m mathprobe costs --logs {params.logs} --models {params.folders}"
        " --flops-per-second {params.rate}"
        " --rules {output.rules} --trainings {output.trainings} > {log} 2>&1"


rule paper_report:
    input:
        facts=f"{TABLES}/facts.json",
        tables=all_tables,
        costs=expand(f"{TABLES}/{{table}}.csv", table=COSTS, allow_missing=True),
        figures=figures("svg"),
        notebooks=notebook_pages,
        circuits=circuit_pages,
        published=PUBLISHED,
        errata=ERRATA,
        template=local("paper/templates/report.html.j2"),
        code=code("paper/report", "paper/figures"),
    output:
        "results/{scale}/report.html",
    log:
        "logs/results/{scale}/report.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe report {output} --facts {input.facts}"
        " --template {input.template} --published {input.published} --errata {input.errata}"
        " --tables {input.tables} {input.costs} --figures {input.figures}"
        " --notebooks {input.notebooks} --circuits {input.circuits} > {log} 2>&1"
