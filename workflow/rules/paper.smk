# Rules of the paper: tidy tables, LaTeX, notebooks with their figures, and the PDF.


rule paper_facts:
    output:
        f"{TABLES}/facts.json",
    log:
        f"logs/{TABLES}/facts.log",
    resources:
        config=str(CONFIG),  # not in params: only changed facts cause a rerun
    params:
        facts=lambda w: digest(CATALOG.facts(w.scale)),
    message:
        "write the settings that the paper mentions"
    shell:
        "python -m mathprobe facts {wildcards.scale} {output}"
        " --config {resources.config} > {log} 2>&1"


rule paper_table:
    input:
        models=lambda w: mark_local(INPUTS.table_inputs(w)),
        published=PUBLISHED,
    output:
        report_table(paths.TABLE),
    log:
        f"logs/{paths.TABLE}.log",
    params:
        folders=model_folders,
        missing=INPUTS.missing,
        targets=INPUTS.target_accuracies,
    message:
        "make table {wildcards.kind}: {wildcards.task}, n = {wildcards.n}"
    shell:
        "python -m mathprobe table {wildcards.kind} {output}"
        " --published {input.published} --models {params.folders}"
        " --missing {params.missing} --target-accuracies {params.targets} > {log} 2>&1"


rule paper_runs:
    input:
        models=lambda w: mark_local(INPUTS.table_inputs(w)),
        published=PUBLISHED,
    output:
        report_table(f"{TABLES}/runs.csv"),
    log:
        f"logs/{TABLES}/runs.log",
    params:
        folders=model_folders,
    message:
        "make table runs"
    shell:
        "python -m mathprobe table runs {output} --published {input.published}"
        " --models {params.folders} > {log} 2>&1"


rule paper_costs:
    input:
        runs=lambda w: mark_local(INPUTS.cost_inputs(w)),
    output:
        report_table(f"{TABLES}/costs.csv"),
    log:
        f"logs/{TABLES}/costs.log",
    message:
        "write table costs of {wildcards.scale}"
    shell:
        "python -m mathprobe costs {output} --runs {input.runs} > {log} 2>&1"


rule paper_findings:
    input:
        facts=f"{TABLES}/facts.json",
        published=PUBLISHED,
        arith_published=ARITH_PUBLISHED,
        tables=lambda w: INPUTS.finding_tables(w.scale),
        record=local(INPUTS.record_manifest()),
    output:
        report_table(f"{TABLES}/findings.csv"),
    log:
        f"logs/{TABLES}/findings.log",
    resources:
        config=str(CONFIG),  # not in params: only changed facts cause a rerun
    message:
        "write the findings of the record and of {wildcards.scale}"
    shell:
        "python -m mathprobe findings {output} --facts {input.facts}"
        " --published {input.published} --tables {input.tables}"
        " --config {resources.config} > {log} 2>&1"


rule paper_latex:
    input:
        **TEXT,
        tables=INPUTS.template_tables,
        templates=template_files,
    output:
        f"{TABLES}/{{template}}.tex",
    log:
        f"logs/{TABLES}/{{template}}.tex.log",
    message:
        "write {wildcards.template}.tex"
    shell:
        "python -m mathprobe latex {input.templates[0]} {output}"
        " --facts {input.facts} --published {input.published}"
        " --errata {input.errata} --tables {input.tables} > {log} 2>&1"


rule paper_macros:
    input:
        **TEXT,
        tables=lambda w: INPUTS.all_tables(w.scale),
    output:
        f"{TABLES}/numbers.tex",
    log:
        f"logs/{TABLES}/numbers.log",
    message:
        "write the numbers in the text"
    shell:
        "python -m mathprobe macros {output} --facts {input.facts}"
        " --published {input.published} --errata {input.errata}"
        " --tables {input.tables} > {log} 2>&1"


rule paper_notebook:
    input:
        unpack(lambda w: mark_local(INPUTS.notebook_inputs(w))),
        notebook=local("paper/notebooks/{notebook}.py"),
        template=local("paper/templates/notebook.html.j2"),
    output:
        notebook="results/{scale}/notebooks/{notebook}.ipynb",
        html=report(
            "results/{scale}/notebooks/{notebook}.html",
            caption="../report/page.rst",
            category=notebook_category,
            subcategory="Pages",
            labels=notebook_labels,
        ),
        figures=report(
            directory("results/{scale}/figures/{notebook}"),
            patterns=["{figure}.svg", "{figure}.csv"],
            caption="../report/figure.rst",
            category=notebook_category,
            subcategory="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        run="logs/results/{scale}/notebooks/{notebook}.log",
        # Local, because only a notebook that fails writes it.
        notebook=local("logs/results/{scale}/notebooks/{notebook}.ipynb"),
    params:
        parameters=notebook_parameters,
    message:
        "run notebook {wildcards.notebook}"
    shell:
        "python -m mathprobe notebook {input.notebook} {output.notebook} {output.html}"
        " --template {input.template} --failed-notebook {log.notebook}"
        " --parameters {params.parameters:q} > {log.run} 2>&1"


rule paper_pdf:
    input:
        paper=local(["paper/main.tex", "paper/mathprobe.sty", "paper/references.bib"]),
        sections=local([f"paper/sections/{name}" for name in SECTIONS]),
        tables=expand(
            f"{TABLES}/{{template}}.tex", template=TEMPLATES, allow_missing=True
        ),
        numbers=f"{TABLES}/numbers.tex",
        figures=expand(
            "results/{scale}/figures/{notebook}",
            notebook=PRINTED_FIGURES,
            allow_missing=True,
        ),
    output:
        report(
            "results/{scale}/paper.pdf",
            caption="../report/paper.rst",
            category="Findings",
            subcategory="PDF",
            labels={"page": "The paper (PDF)"},
        ),
    log:
        "logs/results/{scale}/paper.log",
    message:
        "typeset results/{wildcards.scale}/paper.pdf"
    shell:
        "python -m mathprobe typeset {input.paper[0]} {output}"
        " --parts {input.tables} {input.numbers} {input.figures} > {log} 2>&1"
