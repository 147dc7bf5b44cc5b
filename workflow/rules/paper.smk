# What a person reads: tidy tables, LaTeX, notebooks with their figures, the PDF.


rule paper_facts:
    output:
        f"{TABLES}/facts.json",
    log:
        f"logs/{TABLES}/facts.log",
    resources:
        config=str(CONFIG),  # no parameter: only changed facts make it run again
    params:
        facts=lambda w: digest(CATALOG.facts(w.scale)),
    shell:
        "python -m mathprobe facts {wildcards.scale} {output}"
        " --config {resources.config} > {log} 2>&1"


rule paper_table:
    input:
        models=lambda w: stored(INPUTS.table(w)),
        published=PUBLISHED,
    output:
        reported(paths.TABLE),
    log:
        f"logs/{paths.TABLE}.log",
    params:
        folders=folders,
        missing=INPUTS.missing,
        targets=INPUTS.targets,
    shell:
        "python -m mathprobe table {wildcards.kind} {output}"
        " --published {input.published} --models {params.folders}"
        " --missing {params.missing} --target-accuracies {params.targets} > {log} 2>&1"


rule paper_runs:
    input:
        models=lambda w: stored(INPUTS.table(w)),
        published=PUBLISHED,
    output:
        reported(f"{TABLES}/runs.csv"),
    log:
        f"logs/{TABLES}/runs.log",
    params:
        folders=folders,
    shell:
        "python -m mathprobe table runs {output} --published {input.published}"
        " --models {params.folders} > {log} 2>&1"


rule paper_latex:
    input:
        facts=f"{TABLES}/facts.json",
        tables=INPUTS.content,
        published=PUBLISHED,
        errata=ERRATA,
        templates=templates,
    output:
        f"{TABLES}/{{content}}.tex",
    log:
        f"logs/{TABLES}/{{content}}.tex.log",
    shell:
        "python -m mathprobe latex {input.templates[0]} {output}"
        " --facts {input.facts} --published {input.published}"
        " --errata {input.errata} --tables {input.tables} > {log} 2>&1"


rule paper_macros:
    input:
        facts=f"{TABLES}/facts.json",
        tables=lambda w: INPUTS.all_tables(w.scale),
        published=PUBLISHED,
        errata=ERRATA,
    output:
        f"{TABLES}/numbers.tex",
    log:
        f"logs/{TABLES}/numbers.log",
    shell:
        "python -m mathprobe macros {output} --facts {input.facts}"
        " --published {input.published} --errata {input.errata}"
        " --tables {input.tables} > {log} 2>&1"


rule paper_notebook:
    input:
        unpack(lambda w: stored(INPUTS.notebook(w))),
        notebook=local("paper/notebooks/{notebook}.py"),
        template=local("paper/templates/notebook.html.j2"),
    output:
        notebook="results/{scale}/notebooks/{notebook}.ipynb",
        html=report(
            "results/{scale}/notebooks/{notebook}.html",
            caption="../report/page.rst",
            category=study,
            subcategory="Pages",
            labels=page_labels,
        ),
        figures=report(
            directory("results/{scale}/figures/{notebook}"),
            patterns=["{figure}.svg", "{figure}.csv"],
            caption="../report/figure.rst",
            category=study,
            subcategory="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        run="logs/results/{scale}/notebooks/{notebook}.log",
        # Not for a storage: only a notebook that fails leaves it.
        notebook=local("logs/results/{scale}/notebooks/{notebook}.ipynb"),
    params:
        parameters=notebook_parameters,
    shell:
        "python -m mathprobe notebook {input.notebook} {output.notebook} {output.html}"
        " --template {input.template} --failed-notebook {log.notebook}"
        " --parameters {params.parameters:q} > {log.run} 2>&1"


rule paper_pdf:
    input:
        paper=local(["paper/main.tex", "paper/mathprobe.sty", "paper/references.bib"]),
        sections=local([f"paper/sections/{name}" for name in SECTIONS]),
        tables=expand(f"{TABLES}/{{content}}.tex", content=CONTENTS, allow_missing=True),
        numbers=f"{TABLES}/numbers.tex",
        figures=figure_folders,
    output:
        report(
            "results/{scale}/paper.pdf",
            caption="../report/paper.rst",
            category="Paper",
            labels={"page": "The paper (PDF)"},
        ),
    log:
        "logs/results/{scale}/paper.log",
    shell:
        "python -m mathprobe typeset {input.paper[0]} {output}"
        " --parts {input.tables} {input.numbers} {input.figures} > {log} 2>&1"
