# The second study: decoders that add and subtract (Quirke, Neo, Barez 2024).
wildcard_constraints:
    model=paths.part("model", NAMES),


rule arith_train:
    input:
        parent=arith_parent,
    output:
        model=f"{ARITH}/model.safetensors",
        curve=f"{ARITH}/curve.csv",
        run=f"{ARITH}/run.json",
    log:
        f"logs/{ARITH}/train.log",
    wildcard_constraints:
        scale=TRAINED,
    priority: hours
    conda:
        "../../envs/python.yaml"
    threads: needs("train", "threads")
    resources:
        gpu=needs("train", "gpus"),
        mem_mb=needs("train", "mem_mb"),
        runtime=minutes,
        slurm_extra=nice,
        save_every=needs("train", "save_every"),
    params:
        spec=arith_spec,
        parent=parent_option,
        # Not an output: from here a training that was stopped goes on.
        state=f"{ARITH}/state",
    shell:
        "python -m mathprobe arith_train {params.spec:q} {params.parent}"
        " --model {output.model} --curve {output.curve} --run {output.run}"
        " --state {params.state} --threads {threads}"
        " --save-every {resources.save_every} 2>&1"
        " | (trap '' INT TERM USR1; exec tee {log})"


rule arith_accuracy:
    input:
        model=f"{ARITH}/model.safetensors",
        code=code(
            *("intervals", "decoding", "arith/difficulty", "arith/questions"),
            *("arith/tokens", "studies/arith/accuracy", "studies/arith/models"),
        ),
    output:
        f"{ARITH}/accuracy.csv",
    log:
        f"logs/{ARITH}/accuracy.log",
    wildcard_constraints:
        scale=TRAINED,
    priority: 5
    conda:
        "../../envs/python.yaml"
    threads: needs("predict", "threads")
    resources:
        gpu=needs("predict", "gpus"),
        mem_mb=needs("predict", "mem_mb"),
        runtime=needs("predict", "runtime"),
    params:
        test=arith_test,
    shell:
        "python -m mathprobe arith_accuracy {input.model} {params.test:q} {output}"
        " --threads {threads} > {log} 2>&1"


rule arith_evidence:
    input:
        published=PUBLISHED_ARITH,
        code=code(
            *("intervals", "arith/difficulty", "arith/questions", "arith/tokens"),
            "studies/arith_evidence",
        ),
    output:
        reported(f"{TABLES}/arith_evidence.csv"),
    log:
        f"logs/{TABLES}/arith_evidence.log",
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe arith_evidence {output}"
        " --published {input.published} > {log} 2>&1"


rule arith_table:
    input:
        models=arith_files,
        facts=f"{TABLES}/facts.json",
        published=PUBLISHED_ARITH,
        code=code("paper/arith_tables", "studies/comparisons", "studies/findings"),
    output:
        reported(f"{TABLES}/arith_{{kind}}.csv"),
    log:
        f"logs/{TABLES}/arith_{{kind}}.log",
    wildcard_constraints:
        kind=catalog.alternation(catalog.arith.TABLES),
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=arith_folders,
    shell:
        "python -m mathprobe arith_table {wildcards.kind} {output}"
        " --facts {input.facts} --published {input.published}"
        " --models {params.folders} > {log} 2>&1"


rule arith_map:
    input:
        model=f"{ARITH}/model.safetensors",
        code=code(
            *("intervals", "arith/claims", "arith/columns", "arith/exchanges"),
            *("arith/questions", "arith/samples", "arith/subtasks", "arith/tokens"),
            *("interp/ablate", "interp/attention", "interp/edits", "interp/facts"),
            *("interp/nodes", "interp/pca", "interp/search", "studies/circuits"),
            *("studies/controls", "studies/findings", "studies/published_maps"),
        ),
    output:
        [f"{ARITH}/facts/{name}" for name in catalog.arith.MAP],
    log:
        f"logs/{ARITH}/map.log",
    wildcard_constraints:
        scale=TRAINED,
    priority: 5
    conda:
        "../../envs/python.yaml"
    threads: needs("predict", "threads")
    resources:
        gpu=needs("predict", "gpus"),
        mem_mb=needs("predict", "mem_mb"),
        runtime=needs("predict", "runtime"),
    params:
        search=arith_search,
        folder=first_folder,
    shell:
        "python -m mathprobe arith_map {input.model} {params.search:q} {params.folder}"
        " --threads {threads} > {log} 2>&1"


rule arith_draw:
    input:
        map=[f"{ARITH}/facts/{name}" for name in catalog.arith.MAP],
        template=local("paper/templates/circuit.html.j2"),
        code=code(
            *("paper/circuit_page", "paper/quanta"),
        ),
    output:
        page=report(
            f"{ARITH}/circuit/circuit.html",
            caption="../report/circuit.rst",
            category="Second study",
            subcategory="Models",
            labels={"model": "{model}"},
        ),
    log:
        f"logs/{ARITH}/draw.log",
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts_folder,
        digits=arith_digits,
    shell:
        "python -m mathprobe arith_draw {params.facts} {output}"
        " --name {wildcards.model} --digits {params.digits}"
        " --template {input.template} > {log} 2>&1"


rule arith_reuse:
    input:
        child=f"{ARITH}/facts/nodes.csv",
        parent=arith_parent_map,
        code=code("studies/comparisons"),
    output:
        f"{ARITH}/reuse.csv",
    log:
        f"logs/{ARITH}/reuse.log",
    wildcard_constraints:
        model=catalog.alternation(
            name for name, row in CATALOG.decoders.items() if row.parent
        ),
    localrule: True
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe arith_reuse {input.child} {input.parent} {output}"
        " > {log} 2>&1"
