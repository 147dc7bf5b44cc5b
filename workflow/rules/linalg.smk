# The first study: test sets, models, predictions and scores (Charton 2022).
WITHOUT_NETWORK = [  # what decides how exact answers score
    *("intervals", "linalg/codec", "linalg/draws", "linalg/encodings"),
    *("linalg/laws", "linalg/scores", "linalg/tasks"),
    *("studies/linalg/codecs", "studies/linalg/data", "studies/ceilings"),
]


rule linalg_testset:
    output:
        TESTSET,
    log:
        f"logs/{TESTSETS}/{{law}}/n{{n}}/testset.log",
    wildcard_constraints:
        scale=TRAINED,
    localrule: True
    conda:
        "../../envs/python.yaml"
    params:
        spec=testset_spec,
    shell:
        "python -m mathprobe testset {params.spec:q} {output} > {log} 2>&1"


rule linalg_train:
    output:
        model=f"{MODEL}/model.safetensors",
        curve=f"{MODEL}/curve.csv",
        run=f"{MODEL}/run.json",
    log:
        f"logs/{MODEL}/train.log",
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
        spec=model_spec,
        # Not an output: from here a training that was stopped goes on.
        state=f"{MODEL}/state",
    shell:
        "python -m mathprobe train {params.spec:q}"
        " --model {output.model} --curve {output.curve} --run {output.run}"
        " --state {params.state} --threads {threads}"
        " --save-every {resources.save_every} 2>&1"
        " | (trap '' INT TERM USR1; exec tee {log})"


rule linalg_predict:
    input:
        model=f"{MODEL}/model.safetensors",
        tests=testsets,
    output:
        f"{MODEL}/predictions.npz",
    log:
        f"logs/{MODEL}/predict.log",
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
    shell:
        "python -m mathprobe predict {input.model} {output}"
        " --tests {input.tests} --threads {threads} > {log} 2>&1"


rule linalg_score:
    input:
        predictions=f"{MODEL}/predictions.npz",
        tests=testsets,
        code=code(
            *("intervals", "linalg/codec", "linalg/encodings", "linalg/properties"),
            *("linalg/scores", "linalg/tasks", "linalg/verifiers"),
            *("studies/linalg/codecs", "studies/linalg/scoring"),
        ),
    output:
        scores=f"{MODEL}/scores.csv",
        examples=f"{MODEL}/examples.npz",
    log:
        f"logs/{MODEL}/score.log",
    wildcard_constraints:
        scale=TRAINED,
    conda:
        "../../envs/python.yaml"
    params:
        tolerances=tolerances,
    shell:
        "python -m mathprobe score {input.predictions} {output.scores}"
        " --examples {output.examples} --tests {input.tests} --tolerances {params.tolerances} > {log} 2>&1"


rule linalg_failures:
    input:
        examples=f"{MODEL}/examples.npz",
        predictions=f"{MODEL}/predictions.npz",
        tests=testsets_at_home,
        code=code(
            *("intervals", "linalg/properties"),
            *("linalg/verifiers", "studies/failures", "studies/linalg/scoring"),
        ),
    output:
        home=f"{MODEL}/home.npz",
        properties=f"{MODEL}/properties.csv",
        verifiers=f"{MODEL}/verifiers.csv",
        roc=f"{MODEL}/roc.csv",
    log:
        f"logs/{MODEL}/failures.log",
    wildcard_constraints:
        scale=TRAINED,
        task=catalog.alternation(PROPERTIES),
    conda:
        "../../envs/python.yaml"
    params:
        tolerances=failure_tolerances,
    shell:
        "python -m mathprobe failures {input.examples} --home {output.home}"
        " --predictions {input.predictions} --tests {input.tests}"
        " --tolerances {params.tolerances}"
        " --properties {output.properties} --verifiers {output.verifiers}"
        " --roc {output.roc} > {log} 2>&1"


rule linalg_conditions:
    input:
        published=PUBLISHED,
        code=code(
            *("linalg/laws", "studies/linalg/conditions", "studies/linalg/data"),
        ),
    output:
        reported(f"{TABLES}/condition_numbers.csv"),
    log:
        f"logs/{TABLES}/condition_numbers.log",
    conda:
        "../../envs/python.yaml"
    params:
        spec=conditions_spec,
    shell:
        "python -m mathprobe conditions {params.spec:q} {output}"
        " --published {input.published} > {log} 2>&1"


rule linalg_ceilings:
    input:
        code=code(*WITHOUT_NETWORK),
    output:
        reported(f"{TABLES}/ceilings.csv"),
    log:
        f"logs/{TABLES}/ceilings.log",
    conda:
        "../../envs/python.yaml"
    params:
        spec=ceilings_spec,
    shell:
        "python -m mathprobe ceilings {params.spec:q} {output} > {log} 2>&1"


rule linalg_evidence:
    input:
        published=PUBLISHED,
        code=code(
            *(*WITHOUT_NETWORK, "linalg/verifiers", "studies/evidence"),
            "studies/linalg/conditions",
        ),
    output:
        reported(f"{TABLES}/evidence.csv"),
    log:
        f"logs/{TABLES}/evidence.log",
    conda:
        "../../envs/python.yaml"
    params:
        spec=evidence_spec,
    shell:
        "python -m mathprobe evidence {params.spec:q} {output}"
        " --published {input.published} > {log} 2>&1"
