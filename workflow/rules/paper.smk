# What a person reads: tidy tables, LaTeX, figures, the PDF and the report.


rule paper_table:
    input:
        models=files_of(table_folders),
        published=PUBLISHED,
        code="src/mathprobe/paper/tables.py",
    output:
        f"{TABLES}/{{kind}}_{{task}}_n{{n}}.csv",
    log:
        f"logs/{TABLES}/{{kind}}_{{task}}_n{{n}}.log",
    conda:
        "../../envs/python.yaml"
    params:
        folders=table_folders,
        target=table_target,
    shell:
        "python -m mathprobe table {wildcards.kind} {output} {params.target}"
        " --published {input.published} --models {params.folders} > {log} 2>&1"


rule paper_runs:
    input:
        models=files_of(all_folders),
        published=PUBLISHED,
        code="src/mathprobe/paper/tables.py",
    output:
        f"{TABLES}/runs.csv",
    log:
        f"logs/{TABLES}/runs.log",
    conda:
        "../../envs/python.yaml"
    params:
        folders=all_folders,
    shell:
        "python -m mathprobe table runs {output}"
        " --published {input.published} --models {params.folders} > {log} 2>&1"


rule paper_latex:
    input:
        tables=content_tables,
        published=PUBLISHED,
        errata=ERRATA,
        template="paper/templates/{content}.tex.j2",
        shared="paper/templates/models.j2",
        code=["src/mathprobe/paper/latex.py", "src/mathprobe/paper/views.py"],
    output:
        f"{TABLES}/{{content}}.tex",
    log:
        f"logs/{TABLES}/{{content}}.tex.log",
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
        code=expand(
            "src/mathprobe/paper/{module}.py", module=["numbers", "latex", "views"]
        ),
    output:
        f"{TABLES}/numbers.tex",
    log:
        f"logs/{TABLES}/numbers.log",
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts,
    shell:
        "python -m mathprobe numbers {output} --facts {params.facts:q}"
        " --published {input.published} --errata {input.errata} --tables {input.tables} > {log} 2>&1"


rule paper_generalization:
    input:
        notebook="paper/notebooks/generalization.py",
        ood=first_ood,
        curves=first_curves,
        published=PUBLISHED,
        code=["src/mathprobe/paper/figures.py", "src/mathprobe/paper/notebooks.py"],
    output:
        notebook="results/{scale}/notebooks/generalization.ipynb",
        html="results/{scale}/notebooks/generalization.html",
        figures=drawn("generalization"),
    log:
        run="logs/results/{scale}/notebooks/generalization.log",
        notebook="logs/results/{scale}/notebooks/generalization.ipynb",
    conda:
        "../../envs/python.yaml"
    params:
        parameters=notebook_parameters,
    shell:
        "python -m mathprobe notebook {input.notebook} {output.notebook} {output.html}"
        " --kept {log.notebook} --parameters {params.parameters} > {log.run} 2>&1"


use rule paper_generalization as paper_spectral_properties with:
    input:
        notebook="paper/notebooks/spectral_properties.py",
        failures=failure_tables,
        examples=failures_of("examples.npz"),
        published=PUBLISHED,
        code=FAILURE_CODE,
    output:
        notebook="results/{scale}/notebooks/spectral_properties.ipynb",
        html="results/{scale}/notebooks/spectral_properties.html",
        figures=drawn("spectral_properties"),
    log:
        run="logs/results/{scale}/notebooks/spectral_properties.log",
        notebook="logs/results/{scale}/notebooks/spectral_properties.ipynb",


use rule paper_generalization as paper_verifiers with:
    input:
        notebook="paper/notebooks/verifiers.py",
        verifiers=verifier_tables,
        roc=roc_tables,
        examples=failures_of("examples.npz"),
        predictions=failures_of("predictions.npz"),
        tests=failure_tests,
        code=[*FAILURE_CODE, "src/mathprobe/linalg/verifiers.py"],
    output:
        notebook="results/{scale}/notebooks/verifiers.ipynb",
        html="results/{scale}/notebooks/verifiers.html",
        figures=drawn("verifiers"),
    log:
        run="logs/results/{scale}/notebooks/verifiers.log",
        notebook="logs/results/{scale}/notebooks/verifiers.ipynb",


rule paper_tex:
    output:
        PRIVATE_TEX,
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
        paper=["paper/main.tex", "paper/mathprobe.sty", "paper/references.bib"],
        sections=sorted(Path("paper/sections").glob("*.tex")),
        tables=expand(f"{TABLES}/{{content}}.tex", content=CONTENTS, allow_missing=True),
        numbers=f"{TABLES}/numbers.tex",
        figures=expand(
            "results/{{scale}}/figures/{figure}.pdf",
            figure=FIGURES,
        ),
        engine=tex_engine,
    output:
        "results/{scale}/paper.pdf",
    log:
        "logs/results/{scale}/paper.log",
    localrule: True
    conda:
        "../../envs/tex.yaml"
    shell:
        "python -m mathprobe typeset {input.paper[0]} {output}"
        " --parts {input.tables} {input.numbers} {input.figures} > {log} 2>&1"


rule paper_report:
    input:
        tables=all_tables,
        figures=expand(
            "results/{{scale}}/figures/{figure}.svg",
            figure=FIGURES,
        ),
        notebooks=expand(
            "results/{{scale}}/notebooks/{notebook}.html", notebook=NOTEBOOKS
        ),
        published=PUBLISHED,
        errata=ERRATA,
        template="paper/templates/report.html.j2",
        code=["src/mathprobe/paper/report.py", "src/mathprobe/paper/figures.py"],
    output:
        "results/{scale}/report.html",
    log:
        "logs/results/{scale}/report.log",
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts,
    shell:
        "python -m mathprobe report {output} --facts {params.facts:q}"
        " --template {input.template} --published {input.published} --errata {input.errata}"
        " --tables {input.tables} --figures {input.figures}"
        " --notebooks {input.notebooks} > {log} 2>&1"
