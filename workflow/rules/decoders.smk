# What the rules of the second study share: paths, and functions from wildcards.
PUBLISHED_ARITH = local(
    [
        "paper/published/quirke2024.yaml",
        *sorted(map(str, Path("paper/published").glob("arith_*.csv"))),
    ]
)


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




def arith_files(wildcards):
    """Give what a table is made from; of reuse those with a parent."""
    rows = CATALOG.arith(wildcards.scale).rows
    if wildcards.kind == "reuse":
        rows = [name for name, row in rows.items() if row.parent]
    folders = decoder_folders(wildcards.scale, rows)
    return files_in(wildcards.scale, folders, catalog.arith.TABLES[wildcards.kind])


def arith_folders(wildcards, input):
    """Give the folders of the models that a table is made from."""
    file = catalog.arith.TABLES[wildcards.kind][0]
    paths = [path for path in input.models if path.endswith(file)]
    return [path.removesuffix(f"/{file}") for path in paths]


def arith_search(wildcards):
    return CATALOG.arith(wildcards.scale).circuits().json()


def arith_digits(wildcards):
    return CATALOG.arith(wildcards.scale).row(wildcards.model).digits


def arith_parent_map(wildcards):
    parent = CATALOG.arith(wildcards.scale).row(wildcards.model).parent
    return f"{ARITH}/facts/nodes.csv".format(scale=wildcards.scale, model=parent)


def facts_folder(wildcards, input):
    return Path(input.map[0]).parent


def first_folder(wildcards, output):
    return Path(output[0]).parent
