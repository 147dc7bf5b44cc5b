# Rules of the second study: decoders of addition and subtraction (Quirke, Neo, Barez
# 2024).
DECODERS = catalog.alternation(CATALOG.decoders)
MAP = [f"{ARITH}/facts/{name}" for name in catalog.arith.MAP_FILES]


rule arith_train:
    input:
        # A newer time stamp of the parent must not delete its child.
        parent=ancient(lambda w: INPUTS.parent_file(w, "model.safetensors")),
    output:
        model=f"{ARITH}/model.safetensors",
        curve=f"{ARITH}/curve.csv",
        run=f"{ARITH}/run.json",
    log:
        f"logs/{ARITH}/train.log",
    wildcard_constraints:
        scale=TRAINED,
    priority: hours
    threads: compute("train", "threads")
    resources:
        **TRAIN,
    params:
        spec=spec(model_spec),
        parent=lambda w, input: f"--parent {input.parent}" if input.parent else "",
        # Not an output, because an interrupted training resumes from it.
        state=f"{ARITH}/state",
    message:
        "train {wildcards.model}"
    shell:
        "python -m mathprobe arith_train {params.spec:q} {params.parent}"
        " --model {output.model} --curve {output.curve} --run {output.run}"
        " --state {params.state} --device {resources.device} --threads {threads}"
        " --save-every {resources.save_every} 2>&1"
        " | (trap '' INT TERM USR1; exec tee {log})"


rule arith_accuracy:
    input:
        model=f"{ARITH}/model.safetensors",
    output:
        f"{ARITH}/accuracy.csv",
    log:
        f"logs/{ARITH}/accuracy.log",
    priority: 5
    threads: compute("predict", "threads")
    resources:
        **EVALUATE,
    params:
        test=spec(lambda w: CATALOG.arith(w.scale).accuracy()),
    message:
        "count wrong answers of {wildcards.model}"
    shell:
        "python -m mathprobe arith_accuracy {input.model} {params.test:q} {output}"
        " --device {resources.device} --threads {threads} > {log} 2>&1"


rule arith_map:
    input:
        model=f"{ARITH}/model.safetensors",
    output:
        MAP,
    log:
        f"logs/{ARITH}/map.log",
    priority: 5
    threads: compute("predict", "threads")
    resources:
        **EVALUATE,
    params:
        search=spec(lambda w: CATALOG.arith(w.scale).circuits()),
        folder=lambda w, output: Path(output[0]).parent,
    message:
        "analyse the circuit of {wildcards.model}"
    shell:
        "python -m mathprobe arith_map {input.model} {params.search:q} {params.folder}"
        " --device {resources.device} --threads {threads} > {log} 2>&1"


rule arith_draw:
    input:
        map=MAP,
        template=local("paper/templates/circuit.html.j2"),
    output:
        report(
            f"{ARITH}/circuit/circuit.html",
            caption="../report/circuit.rst",
            category="Second study",
            subcategory="Models",
            labels={"model": "{model}"},
        ),
    log:
        f"logs/{ARITH}/draw.log",
    resources:
        **WITH_EVALUATION,
    params:
        map=lambda w, input: Path(input.map[0]).parent,
        digits=lambda w: CATALOG.arith(w.scale).row(w.model).digits,
    message:
        "draw the circuit of {wildcards.model}"
    shell:
        "python -m mathprobe arith_draw {params.map} {output} --name {wildcards.model}"
        " --digits {params.digits} --template {input.template}"
        " --report ../../../report.html > {log} 2>&1"


rule arith_reuse:
    input:
        child=f"{ARITH}/facts/nodes.csv",
        parent=lambda w: INPUTS.parent_file(w, "facts/nodes.csv"),
    output:
        f"{ARITH}/reuse.csv",
    log:
        f"logs/{ARITH}/reuse.log",
    message:
        "count inserted nodes in use by {wildcards.model}"
    shell:
        "python -m mathprobe arith_reuse {input.child} {input.parent} {output}"
        " > {log} 2>&1"


rule arith_evidence:
    input:
        published=ARITH_PUBLISHED,
    output:
        report_table(f"{TABLES}/arith_evidence.csv"),
    log:
        f"logs/{TABLES}/arith_evidence.log",
    message:
        "check numbers published by Quirke et al."
    shell:
        "python -m mathprobe arith_evidence {output}"
        " --published {input.published} > {log} 2>&1"


rule arith_table:
    input:
        models=lambda w: mark_local(INPUTS.arith_table_inputs(w)),
        facts=f"{TABLES}/facts.json",
        published=ARITH_PUBLISHED,
    output:
        report_table(f"{TABLES}/arith_{{kind}}.csv"),
    log:
        f"logs/{TABLES}/arith_{{kind}}.log",
    wildcard_constraints:
        kind=catalog.alternation(catalog.arith.TABLE_SOURCES),
    params:
        folders=model_folders,
    message:
        "make table arith_{wildcards.kind}"
    shell:
        "python -m mathprobe arith_table {wildcards.kind} {output}"
        " --facts {input.facts} --published {input.published}"
        " --models {params.folders} > {log} 2>&1"
