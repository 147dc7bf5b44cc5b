"""Synthetic results of a scale, with the columns of its tidy tables."""

import io
from functools import cache
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from mathprobe import strict_yaml
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.catalog import Catalog
from mathprobe.catalog.linalg import entry_models
from mathprobe.linalg import properties, scores, verifiers
from mathprobe.linalg.properties import PROPERTIES
from mathprobe.paper import arith_tables, findings, published, tables
from mathprobe.paper.arith_macros import REUSE_MACROS
from mathprobe.paper.macros import ERRATA_EVIDENCE
from mathprobe.settings import TableEntry

PROJECT = Path(__file__).parent.parent
PAPER = PROJECT / "paper"
ERRATA = {
    **strict_yaml.read(PAPER / "published" / "errata.yaml"),
    **strict_yaml.read(PAPER / "published" / "arith_errata.yaml"),
}
CATALOG = Catalog.load(PROJECT / "config" / "config.yaml")
ARITH_FILES = [
    PAPER / "published" / "quirke2024.yaml",
    *sorted((PAPER / "published").glob("arith_*.csv")),
]
PUBLISHED_ARITH = arith_tables.read_published(ARITH_FILES)
PRINTED = [PAPER / "published" / f"{name}.csv" for name in published.FILES]
PUBLISHED = published.read_all(PRINTED)
LABELS = published.labels(PUBLISHED)
DISTRIBUTIONS = CATALOG.distributions
# Tables of circuit analysis.
CIRCUITS = ("circuits", "controls", "sufficiency", "claims", "reuse")
SCALES = ["smoke", "demo", "paper"]


def facts(scale: str) -> dict:
    return {
        **CATALOG.facts(scale),
        "published": PUBLISHED,
        "errata": ERRATA,
        "labels": LABELS,
    }


def frame(rows: list[dict]) -> pd.DataFrame:
    """Return a table as it is read from a CSV file."""
    return tables.read(io.StringIO(pd.DataFrame(rows).to_csv(index=False)))


def accuracy_columns(accuracy: float, examples: int = 5000) -> dict:
    ends = {"low": max(0.0, accuracy - 0.01), "high": min(1.0, accuracy + 0.01)}
    return {"examples": examples, "accuracy": accuracy, **ends}


def accuracy_matrix(models: list[dict]) -> list[dict]:
    same = {"seeds": 1, "oracle": 0.96, "published": None, "spread": None}
    return [
        {
            "train": name["distribution"],
            "test": test,
            **place,
            **same,
            **accuracy_columns((i + j) / 14),
        }
        for i, name in enumerate(models)
        for place in [{key: name[key] for key in ("task", "n", "recipe")}]
        for j, test in enumerate(
            CATALOG.test_distributions(name["task"], name["distribution"])
        )
    ]


def by_tolerance(models: list[dict]) -> list[dict]:
    measured = {"seeds": 1, "spread": None, "oracle": 0.9, "malformed": 0.001}
    return [
        {
            **{
                "train": name["distribution"],
                "tolerance": t,
                **accuracy_columns(10 * t),
                **measured,
            },
            **{key: name[key] for key in ("task", "n", "recipe")},
        }
        for name in models
        for t in (0.05, 0.02, 0.01, 0.005)
    ]


def speed(models: list[dict], accuracy: float) -> list[dict]:
    same = {"target": accuracy, "published": None}
    same |= {"seeds": 1, "reached": 1, "spread": None}
    same |= {"resolution": 20032, "budget": 400000}
    return [
        {
            **{
                "train": name["distribution"],
                "test": test,
                "examples": examples,
                "best": best,
            },
            **{key: name[key] for key in ("task", "n", "recipe")},
            **same,
        }
        for name in models
        for test, examples, best in (
            ("semicircle", None, 0.5),
            ("abs_semicircle", 41264, 1.0),
        )
    ]


def curves(models: list[dict]) -> list[dict]:
    return [
        {"train": name["distribution"], "test": "semicircle", "seed": 1}
        | {"examples": 400, "accuracy": 0.5, "malformed": 0.0, "loss": 1.0}
        | {key: name[key] for key in ("task", "n", "recipe")}
        for name in models
    ]


def condition_numbers() -> list[dict]:
    return [
        {
            **{
                "task": row.task,
                "distribution": row.distribution,
                "n": 5,
                "matrices": 10000,
            },
            **{"rejected": 0, "quantile": row.quantile, "value": row.value},
            **{"low": 0.9 * row.value, "high": 1.1 * row.value},
            "published": row.value,
        }
        for row in PUBLISHED["condition_numbers"].itertuples()
    ]


def oracle_accuracies() -> list[dict]:
    """Return rows with oracle accuracies of 1, and of 0.9 for inverses."""
    spec = CATALOG.oracle_tests()
    rows = []
    for test, tolerance in product(spec.tests, spec.tolerances):
        share = 0.9 if "inverse" in test.data.task else 1.0
        data, sides = test.data, (test.input, test.output)
        rows.append(
            {
                **{"task": data.task, "test": data.distribution, "n": data.n},
                **{"input": sides[0].encoding, "output": sides[1].encoding},
                **{"tolerance": tolerance, "examples": test.examples},
                **{"oracle": share, "low": share - 0.01, "high": share},
                **{"label": 0.8, "label_low": 0.79, "label_high": 0.81},
            }
        )
    return rows


def evidence(part: str = "contradictions") -> list[dict]:
    """Return a row for each check of a point, and for each quantity in the text."""
    points = ERRATA[part].values()
    named = [(name, "found") for point in points for name in point.get("evidence", [])]
    return [
        {
            **{"evidence": name, "quantity": quantity, "unit": "%"},
            **{"printed": 1.28, "value": 1.5, "total": None},
            **{"low": None, "high": None},
        }
        for name, quantity in [*named, *ERRATA_EVIDENCE.values()]
    ]


def decoders(scale: str) -> list[dict]:
    """Return error counts that increase with the complexity class."""
    models = CATALOG.arith(scale).facts()["models"]
    counts = [
        {
            **{"model": model["name"], "operation": operation, "class": level},
            **{"questions": 50_000, "fails": fails, "malformed": 0, "nines": 3},
            **{"per_million": 20.0 * fails},
            **{"low": 18.5 * fails, "high": 24.25 * fails + 3.0},
        }
        for model in models
        for operation in CATALOG.arith(scale).model(model["name"]).questions.shares
        for fails, level in enumerate(["all", "S0", "S5"])
    ]
    curves = [{"model": model["name"], "loss": 1.25e-8} for model in models]
    table = arith_tables.accuracy(*map(pd.DataFrame, (counts, curves)), PUBLISHED_ARITH)
    return records(arith_tables.add_model_columns("accuracy", models, table))


def records(table: pd.DataFrame) -> list[dict]:
    """Return the rows of a table, with None for missing values."""
    return table.astype(object).where(table.notna(), None).to_dict("records")


def circuits(scale: str) -> dict[str, list[dict]]:
    """Return tables of circuit analysis: distinct numbers, equal for all decoders."""
    models = CATALOG.arith(scale)
    share = {"value": 0.5, "low": 0.25, "high": 0.75}
    counted = {"useful heads": 31, "useful mlps": 17, "heads with a purpose": 21}
    counted |= {"mlps with a purpose": 2, "nodes for S": 40}
    counted |= {f"nodes for {n} of 3 classes": 10 * n for n in (1, 2, 3)}
    controls = [
        (f"keep only, {ablation}", of)
        for ablation in ("mean", "resample")
        for of in ("useful", "with a purpose", "random")
    ]
    controls += [(name, "SA") for name in ("found", "random nodes", "untrained")]
    found: dict[str, list[dict]] = {f"arith_{kind}": [] for kind in CIRCUITS}
    for name, row in models.rows.items():
        found["arith_circuits"] += [
            {"model": name, "quantity": q, "count": n, "total": 48, "published": n + 1}
            | {"published_rule": n - 1}
            for q, n in counted.items()
        ]
        found["arith_circuits"] += [
            {"model": name, "quantity": task, "count": n, "total": None}
            | {"published": None, "published_rule": None if task == "SV" else 2 * n}
            for n, task in enumerate(SUBTASKS)
        ]
        found["arith_controls"] += [
            {"model": name, "control": control, "of": of, "nodes": 3}
            | {"count": 10 + place, "total": 20, **share}
            for place, (control, of) in enumerate(controls)
        ]
        found["arith_sufficiency"] += sufficiency(name)
        found["arith_claims"] += [
            {"model": name, "algorithm": "addition", "clause": f"SA{k}"}
            | {"optional": k > 1, "holds": k != 1, "positions": "P9"}
            for k in range(3)
        ]
        if row.parent:
            found["arith_reuse"] += [
                {"model": name, "quantity": quantity, "count": 30, "total": 48}
                | {"published": None}
                for quantity in REUSE_MACROS
            ]
    return found


def sufficiency(name: str) -> list[dict]:
    """Return curves of a model that reach 0.2 and 0.9 with 30 and 50 nodes."""
    points = [("published", 20, 0.1), ("most pairs", 40, 0.5)]
    points += [
        (order, nodes, share)
        for order in ("greedy", "ablation", "random")
        for nodes, share in ((30, 0.2), (36, 0.88), (50, 0.9))
    ]
    return [
        {"model": name, "order": order, "ablation": ablation, "nodes": nodes}
        | {"added": "P9L0H1", "count": int(100 * value), "total": 100}
        | {"value": value, "low": value - 0.05, "high": value + 0.05}
        for ablation in ("mean", "resample")
        for order, nodes, value in points
    ]


def runs(models: list[dict]) -> list[dict]:
    same = {
        **{"machine": "a_b", "cpu": "Cores & Co", "device": "cpu", "threads": 1},
        **{"precision": "float32", "seeds": 1, "attempts": 1},
        **{"parameters": 301442, "examples": 400000, "seconds": 200.5},
        **{"examples_per_second": 1995.0, "finished": "2026-01-01"},
        **{"python": "3.11.7", "torch": "2.13.0", "revision": None, "clean": None},
    }
    return [
        {
            "model": "{task}/{distribution}/n{n}/{recipe}".format_map(name),
            **name,
            "train": name["distribution"],
            **same,
        }
        for name in models
    ]


def costs(models: list[dict]) -> list[dict]:
    """Return the costs of models; the last one is not finished."""
    rows = [
        {"model": "{task}/{distribution}/n{n}/{recipe}".format_map(name)}
        | {"kind": "{task}, n = {n}, {recipe}".format_map(name), "device": "cpu"}
        | {"examples": 400, "total": 400, "hours": 0.5, "joules": None}
        | {"finished": "2026-01-01"}
        for name in models
    ]
    rows[-1] |= {"examples": 300, "finished": None}
    return rows


def run_of(task: str, distribution: str, n: int) -> dict:
    data = {"task": task, "distribution": distribution, "n": n, "columns": n}
    return {
        "spec": {"data": data, "schedule": {"curve_every": 100, "examples": 400}},
        "versions": {"torch": "2.13.0"},
    }


def model_result(
    task: str, distribution: str, n: int, recipe: str, measured: list[dict]
):
    """Return the results of a model for `tables.build`."""
    return tables.model_rows(recipe, run_of(task, distribution, n), frame(measured))


def measured_properties(task: str, distribution: str, n: int) -> list[dict]:
    """Return the properties of exact answers, for a seed and for the oracle."""
    matrix = torch.eye(n).double().repeat(4, 1, 1)
    answer = torch.cat([matrix[:, :1], matrix], 1) if task == "eigenvectors" else matrix
    quantities = {"error": torch.zeros(4).double()}
    quantities |= PROPERTIES[task](matrix, answer, answer)
    correct = torch.tensor([True, True, False, False])
    rows = list(properties.summary(quantities, {0.05: correct, 0.01: correct}))
    return [
        {"seed": seed, "test": test, **row}
        for seed in (1, scores.ORACLE)
        for test in (distribution, "laplace")
        for row in rows
    ]


def measured_rates(task: str, distribution: str, values=(0.5, 0.7)) -> list[dict]:
    """Return the rates of the verifier of a task, for two seeds and for the oracle."""
    name = "vectors_condition" if task == "eigenvectors" else "matrix_condition"
    quantity, correct = torch.ones(2).double(), torch.tensor([True, False])
    return [
        {
            "seed": seed,
            "test": distribution,
            **row,
            "value": value,
            "low": 0.0,
            "high": 1.0,
        }
        for seed, value in (*enumerate(values, 1), (scores.ORACLE, 1.0))
        for row in verifiers.table({name: quantity}, correct)
    ]


def failure_table(scale: str, kind: str) -> pd.DataFrame:
    """Return the table of failures or verifiers of all models of a scale."""
    results = []
    for name in models(CATALOG.linalg(scale).entries["failures"]):
        task, distribution = name["task"], name["distribution"]
        measured = {
            "failures": measured_properties(task, distribution, name["n"]),
            "verifiers": measured_rates(task, distribution),
        }
        model = model_result(**name, measured=measured[kind])
        results.append(tables.build(kind, [model], PUBLISHED))
    return pd.concat(results, ignore_index=True)


def models(entries: list[TableEntry]) -> list[dict]:
    return [name for entry in entries for name in entry_models(entry)]


def synthetic_tables(scale: str, *others: dict) -> dict[str, pd.DataFrame]:
    """Return the tables of a scale; `others` are models outside its configuration."""
    made = _make_tables(scale, *(tuple(model.items()) for model in others))
    return {kind: table.copy() for kind, table in made.items()}


@cache
def _make_tables(scale: str, *others: tuple) -> dict[str, pd.DataFrame]:
    entries = CATALOG.linalg(scale).entries
    compared = models(entries["out_of_distribution"])
    rows = {
        "ood": [*accuracy_matrix(list(map(dict, others))), *accuracy_matrix(compared)],
        "tolerances": by_tolerance(compared),
        "learning_speed": [
            row
            for entry in entries["learning_speed"]
            for row in speed(models([entry]), entry.accuracy)
        ],
        "curves": curves(models(entries["learning_speed"])),
        "condition_numbers": condition_numbers(),
        "oracle_accuracy": oracle_accuracies(),
        "arith_accuracy": decoders(scale),
        **circuits(scale),
        "evidence": evidence(),
        "arith_evidence": evidence("arith_contradictions"),
        "runs": runs(CATALOG.all_models(scale)),
        "costs": costs(CATALOG.all_models(scale)),
    }
    found = {
        **{kind: frame(found) for kind, found in rows.items()},
        **{kind: failure_table(scale, kind) for kind in ("failures", "verifiers")},
    }
    return found | {"findings": findings_of(found, scale)}


def findings_of(
    tables: dict[str, pd.DataFrame], scale: str = "demo", recorded: bool = False
) -> pd.DataFrame:
    """Return the findings of tables."""
    context = facts(scale)
    context["published"] = PUBLISHED | PUBLISHED_ARITH
    return findings.build([findings.Source(scale, recorded, tables, context)])


def task_sizes(scale: str, table: str) -> list[str]:
    """Return the tasks and sizes of a configured table, without duplicates."""
    entries = CATALOG.linalg(scale).entries[table]
    return list(dict.fromkeys(f"{entry.task}_n{entry.n}" for entry in entries))


EMPTY_TABLES = {
    **{name: pd.DataFrame(columns=kind.columns) for name, kind in tables.KINDS.items()},
    **{name: rows.iloc[:0] for name, rows in synthetic_tables("demo").items()},
}
EMPTY_TABLES["findings"] = findings_of(EMPTY_TABLES)
