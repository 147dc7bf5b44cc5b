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
    benchmark:
        local(f"logs/{ARITH}/arith_train.tsv")
    wildcard_constraints:
        scale=TRAINED,
    priority: hours
    conda:
        "../../envs/python.yaml"
    threads: needs("train", "threads")
    resources:
        gpu=at_most_one_gpu,
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
            *("arith/tokens", "studies/arith"),
        ),
    output:
        f"{ARITH}/accuracy.csv",
    log:
        f"logs/{ARITH}/accuracy.log",
    benchmark:
        local(f"logs/{ARITH}/arith_accuracy.tsv")
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
        f"{TABLES}/arith_evidence.csv",
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
        published=PUBLISHED_ARITH,
        code=code("paper/arith_tables"),
    output:
        f"{TABLES}/arith_{{kind}}.csv",
    log:
        f"logs/{TABLES}/arith_{{kind}}.log",
    benchmark:
        local(f"logs/{TABLES}/arith_{{kind}}.arith_table.tsv")
    wildcard_constraints:
        kind="accuracy|curves",
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        rows=arith_rows,
        folders=folders_read,
    shell:
        "python -m mathprobe arith_table {wildcards.kind} {output}"
        " --published {input.published} --rows {params.rows:q}"
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
    benchmark:
        local(f"logs/{ARITH}/arith_map.tsv")
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
            *("paper/circuit_figures", "paper/circuit_page"),
            *("paper/figures", "paper/quanta"),
        ),
    output:
        page=f"{ARITH}/circuit/circuit.html",
        figures=[
            f"{ARITH}/circuit/{name}.{kind}"
            for name in catalog.arith.DRAWN
            for kind in ["pdf", "svg"]
        ],
    log:
        f"logs/{ARITH}/draw.log",
    benchmark:
        local(f"logs/{ARITH}/arith_draw.tsv")
    conda:
        "../../envs/python.yaml"
    params:
        facts=facts_folder,
        folder=first_folder,
        digits=arith_digits,
    shell:
        "python -m mathprobe arith_draw {params.facts} {params.folder}"
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
    benchmark:
        local(f"logs/{ARITH}/arith_reuse.tsv")
    wildcard_constraints:
        model=catalog.alternation(
            name for name, row in CATALOG.decoders.items() if row.parent
        ),
    localrule: True
    conda:
        "../../envs/python.yaml"
    shell:
        "python -m mathprobe arith_compare {input.child} {input.parent} {output}"
        " --reuse > {log} 2>&1"


rule arith_findings:
    input:
        maps=finding_files,
        published=PUBLISHED_ARITH,
        code=code("paper/finding_tables", "studies/comparisons"),
    output:
        f"{TABLES}/arith_{{finding}}.csv",
    log:
        f"logs/{TABLES}/arith_{{finding}}.log",
    benchmark:
        local(f"logs/{TABLES}/arith_{{finding}}.arith_findings.tsv")
    wildcard_constraints:
        finding=catalog.alternation(FINDINGS),
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        folders=finding_folders,
    shell:
        "python -m mathprobe arith_findings {wildcards.finding} {output}"
        " --published {input.published} --models {params.folders} > {log} 2>&1"
