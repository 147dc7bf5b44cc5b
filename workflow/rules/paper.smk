# What a person reads: tidy tables, LaTeX, notebooks with their figures, the PDF.


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
        "printf %s {params.facts:q} > {output} 2> {log}"


rule paper_table:
    input:
        models=files_of(table_folders),
        published=PUBLISHED,
        code=code("paper/tables", "paper/absent"),
    output:
        reported(f"{TABLES}/{{kind}}_{{task}}_n{{n}}.csv"),
    log:
        f"logs/{TABLES}/{{kind}}_{{task}}_n{{n}}.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=folders_read,
        absent=absent,
        targets=table_targets,
    shell:
        "python -m mathprobe table {wildcards.kind} {output} {params.targets}"
        " --published {input.published} --models {params.folders}"
        " --absent {params.absent} > {log} 2>&1"


rule paper_runs:
    input:
        models=files_of(all_folders),
        published=PUBLISHED,
        code=code("paper/tables"),
    output:
        reported(f"{TABLES}/runs.csv"),
    log:
        f"logs/{TABLES}/runs.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=folders_read,
    shell:
        "python -m mathprobe table runs {output}"
        " --published {input.published} --models {params.folders} > {log} 2>&1"


rule paper_latex:
    input:
        tables=content_tables,
        published=PUBLISHED,
        errata=ERRATA,
        template=local("paper/templates/{content}.tex.j2"),
        shared=local("paper/templates/models.j2"),
        code=code("paper/latex", "paper/naming", "paper/views"),
    output:
        f"{TABLES}/{{content}}.tex",
    log:
        f"logs/{TABLES}/{{content}}.tex.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts,
    shell:
        "python -m mathprobe latex {input.template} {output} --facts {params.facts:q}"
        " --published {input.published} --errata {input.errata} --tables {input.tables} > {log} 2>&1"


rule paper_numbers:
    input:
        tables=all_tables,
        published=PUBLISHED,
        errata=ERRATA,
        code=code(
            *("paper/numbers", "paper/failure_numbers", "paper/ceiling_numbers"),
            *("paper/latex", "paper/naming", "paper/views"),
        ),
    output:
        f"{TABLES}/numbers.tex",
    log:
        f"logs/{TABLES}/numbers.log",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts,
    shell:
        "python -m mathprobe numbers {output} --facts {params.facts:q}"
        " --published {input.published} --errata {input.errata} --tables {input.tables} > {log} 2>&1"


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
        "printf '%s' {params.facts:q} > {output} 2> {log}"


rule paper_notebook:
    input:
        unpack(notebook_inputs),
        notebook=local("paper/notebooks/{notebook}.py"),
        template=local("paper/templates/notebook.html.j2"),
        code=code(
            *("linalg/verifiers", "paper/arith_figures", "paper/circuit_figures"),
            *("paper/circuit_notebooks", "paper/circuits", "paper/figures"),
            *("paper/failure_figures", "paper/naming", "paper/notebooks"),
            *("paper/quanta", "paper/views", "studies/comparisons"),
            "studies/findings",
        ),
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
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        parameters=notebook_parameters,
    shell:
        "python -m mathprobe notebook {input.notebook} {output.notebook} {output.html}"
        " --template {input.template} --kept {log.notebook}"
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
    localrule: True
    conda:
        "../../envs/tex.yaml"
    shell:
        "python -m mathprobe typeset {input.paper[0]} {output}"
        " --parts {input.tables} {input.numbers} {input.figures} > {log} 2>&1"
