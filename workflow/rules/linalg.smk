# Rules of the first study: test sets, models, predictions and scores (Charton 2022).
MATRICES = "{wildcards.task}, {wildcards.distribution}, n = {wildcards.n}"
NAME = f"{MATRICES}, {{wildcards.recipe}}"


rule linalg_testset:
    output:
        TESTSET,
    log:
        f"logs/{TESTSET}.log",
    wildcard_constraints:
        scale=TRAINED,
    params:
        spec=spec(lambda w: CATALOG.testset(**w)),
    message:
        f"draw test set {MATRICES}"
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
    threads: compute("train", "threads")
    resources:
        **TRAIN,
    params:
        spec=spec(model_spec),
        # Not an output, because an interrupted training resumes from it.
        state=f"{MODEL}/state",
    message:
        f"train {NAME}"
    shell:
        "python -m mathprobe train {params.spec:q} --model {output.model}"
        " --curve {output.curve} --run {output.run} --state {params.state}"
        " --device {resources.device} --threads {threads}"
        " --save-every {resources.save_every} 2>&1"
        " | (trap '' INT TERM USR1; exec tee {log})"


rule linalg_predict:
    input:
        model=f"{MODEL}/model.safetensors",
        tests=INPUTS.testsets,
    output:
        f"{MODEL}/predictions.npz",
    log:
        f"logs/{MODEL}/predict.log",
    priority: 5
    threads: compute("predict", "threads")
    resources:
        **EVALUATE,
    message:
        f"predict with {NAME}"
    shell:
        "python -m mathprobe predict {input.model} {output} --tests {input.tests}"
        " --device {resources.device} --threads {threads} > {log} 2>&1"


rule linalg_score:
    input:
        predictions=f"{MODEL}/predictions.npz",
        tests=INPUTS.testsets,
    output:
        scores=f"{MODEL}/scores.csv",
        examples=f"{MODEL}/examples.npz",
    log:
        f"logs/{MODEL}/score.log",
    resources:
        **WITH_EVALUATION,
    params:
        tolerances=tests("tolerances"),
    message:
        f"score predictions of {NAME}"
    shell:
        "python -m mathprobe score {input.predictions} {output} --tests {input.tests}"
        " --tolerances {params.tolerances} > {log} 2>&1"


rule linalg_failures:
    input:
        examples=f"{MODEL}/examples.npz",
        predictions=f"{MODEL}/predictions.npz",
        tests=INPUTS.in_distribution_testsets,
    output:
        in_distribution=f"{MODEL}/in_distribution.npz",
        properties=f"{MODEL}/properties.csv",
        verifiers=f"{MODEL}/verifiers.csv",
        roc=f"{MODEL}/roc.csv",
    log:
        f"logs/{MODEL}/failures.log",
    wildcard_constraints:
        task=catalog.alternation(PROPERTIES),
    resources:
        **WITH_EVALUATION,
    params:
        tolerances=tests("failure_tolerances"),
    message:
        f"analyse wrong answers of {NAME}"
    shell:
        "python -m mathprobe failures {input.examples}"
        " --in-distribution {output.in_distribution}"
        " --predictions {input.predictions} --tests {input.tests}"
        " --tolerances {params.tolerances} --properties {output.properties}"
        " --verifiers {output.verifiers} --roc {output.roc} > {log} 2>&1"


rule linalg_heads:
    input:
        model=f"{MODEL}/model.safetensors",
        tests=INPUTS.in_distribution_testsets,
    output:
        ablations=f"{MODEL}/ablations.csv",
        attention=f"{MODEL}/attention.csv",
    log:
        f"logs/{MODEL}/heads.log",
    priority: 5
    threads: compute("predict", "threads")
    resources:
        **EVALUATE,
    params:
        tolerance=lambda w: tests("tolerances")(w)[0],
    message:
        f"ablate the heads of {NAME}"
    shell:
        "python -m mathprobe heads {input.model} --tests {input.tests}"
        " --tolerance {params.tolerance} --ablations {output.ablations}"
        " --attention {output.attention} --device {resources.device}"
        " --threads {threads} > {log} 2>&1"


rule linalg_condition_numbers:
    input:
        published=PUBLISHED,
    output:
        report_table(f"{TABLES}/condition_numbers.csv"),
    log:
        f"logs/{TABLES}/condition_numbers.log",
    params:
        spec=spec(lambda w: CATALOG.linalg(w.scale).condition_numbers()),
    message:
        "compute condition numbers"
    shell:
        "python -m mathprobe condition_numbers {params.spec:q} {output}"
        " --published {input.published} > {log} 2>&1"


rule linalg_oracle:
    output:
        report_table(f"{TABLES}/oracle_accuracy.csv"),
    log:
        f"logs/{TABLES}/oracle_accuracy.log",
    params:
        spec=spec(lambda w: CATALOG.oracle_tests()),
    message:
        "compute oracle accuracies"
    shell:
        "python -m mathprobe oracle {params.spec:q} {output} > {log} 2>&1"


rule linalg_evidence:
    input:
        published=PUBLISHED,
    output:
        report_table(f"{TABLES}/evidence.csv"),
    log:
        f"logs/{TABLES}/evidence.log",
    params:
        spec=spec(lambda w: CATALOG.evidence()),
    message:
        "check numbers published by Charton"
    shell:
        "python -m mathprobe evidence {params.spec:q} {output}"
        " --published {input.published} > {log} 2>&1"
