# What the rules of the second study share: paths, and functions from wildcards.
PUBLISHED_ARITH = local("paper/published/quirke2024.yaml")


def arith_spec(wildcards):
    return CATALOG.arith_model(wildcards.scale, wildcards.model).json()


def arith_parent(wildcards):
    """Give the model whose weights a model begins with, if it has one."""
    parent = CATALOG.arith(wildcards.scale).row(wildcards.model).parent
    path = f"{ARITH}/model.safetensors"
    return [path.format(scale=wildcards.scale, model=parent)] if parent else []


def parent_option(wildcards, input):
    return f"--parent {input.parent}" if input.parent else ""


def arith_test(wildcards):
    return CATALOG.arith(wildcards.scale).accuracy().json()


def arith_rows(wildcards):
    return json.dumps(CATALOG.arith(wildcards.scale).facts()["models"])


def arith_files(wildcards):
    names = CATALOG.arith(wildcards.scale).rows
    folders = decoder_folders(wildcards.scale, names)
    return files_in(wildcards.scale, folders, ["curve.csv", "accuracy.csv"])


def arith_search(wildcards):
    return CATALOG.arith(wildcards.scale).circuits().json()


def arith_digits(wildcards):
    return CATALOG.arith(wildcards.scale).row(wildcards.model).digits


def arith_parent_map(wildcards):
    parent = CATALOG.arith(wildcards.scale).row(wildcards.model).parent
    return f"{ARITH}/facts/nodes.csv".format(scale=wildcards.scale, model=parent)


def finding_files(wildcards):
    """Give what tells a finding of all models: of reuse those with a parent."""
    models = CATALOG.arith(wildcards.scale)
    inserted = [name for name, row in models.rows.items() if row.parent]
    reuse = wildcards.finding == "reuse"
    folders = decoder_folders(wildcards.scale, inserted if reuse else models.rows)
    return files_in(wildcards.scale, folders, FINDINGS[wildcards.finding])


def finding_folders(wildcards, input):
    """Give the folders of the models whose findings a job reads."""
    file = FINDINGS[wildcards.finding][0]
    return [
        str(Path(path.removesuffix(file))) for path in input.maps if path.endswith(file)
    ]


def facts_folder(wildcards, input):
    return Path(input.map[0]).parent


def first_folder(wildcards, output):
    return Path(output[0]).parent
