"""Pivots of the second study for LaTeX, macros, figures and notebooks."""

import pandas as pd

from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.intervals import clopper_pearson, matches
from mathprobe.paper.arith_tables import ALL_CLASSES, models_frame
from mathprobe.paper.naming import decoder_labels
from mathprobe.paper.tables import Frame, Row, Tables, records
from mathprobe.studies.comparisons import count_clauses

KEEP_ONLY = "keep only, "  # prefix of controls in which all other nodes are ablated
CHANCE = {  # controls of the search for sub-tasks, and their titles
    "found": "the model's candidates",
    "random nodes": "random nodes",
    "untrained": "an untrained model",
}
ALL_TASKS = "all"  # sub-tasks together
NODE_SETS = {"useful": "useful", "purpose": "with a purpose", "random": "random"}
MAPS = {  # columns of `maps`: the part and the column that each is from
    "heads": ("count", "useful heads"),
    "mlps": ("count", "useful mlps"),
    "heads/published": ("published", "useful heads"),
    "mlps/published": ("published", "useful mlps"),
    "heads/purpose": ("share", "heads with a purpose"),
    "mlps/purpose": ("share", "mlps with a purpose"),
    "hold": ("claims", "hold"),
    "clauses": ("claims", "clauses"),
    "heads/rule": ("rule", "heads with a purpose"),
    **{
        f"right/{ablation}/{key}": (ablation, nodes)
        for ablation in ("mean", "resample")
        for key, nodes in NODE_SETS.items()
    },
    **{f"classes/{n}": ("share", f"nodes for {n} of 3 classes") for n in (1, 2, 3)},
}


def rates(tables: Tables, context: Row) -> Frame:
    """Return wrong answers by model and operation, over all complexity classes."""
    rows = tables["arith_accuracy"]
    return rows[rows["class"] == ALL_CLASSES].set_index(["model", "operation"])


def matching_rates(rates: Frame) -> list[bool]:
    """Return for each published error rate of a decoder whether ours matches it."""
    ends = rates[["low", "high", "published_low", "published_high"]].dropna()
    return [
        matches((low, high), (published_low, published_high))
        for low, high, published_low, published_high in ends.itertuples(index=False)
    ]


def decoders(tables: Tables, context: Row) -> Frame:
    """Return the models of the catalog with their losses and highest error rates."""
    columns = ["loss", "published_loss", "per_million", "high", "published"]
    worst = rates(tables, context).groupby("model")[columns].max()
    return models_frame(context["arith"]["models"]).join(worst, on="model")


def decoder_names(tables: Tables, context: Row) -> dict[str, str]:
    """Return readable labels of the models of the catalog by name."""
    return decoder_labels(context["arith"]["models"])


def by_class(tables: Tables, context: Row) -> dict[str, dict[str, Row]]:
    """Return wrong answers per million by complexity class and family of models."""
    rows = tables["arith_accuracy"]
    grouped = rows[rows["class"] != ALL_CLASSES].groupby(["class", "family"])
    sums = grouped[["fails", "questions"]].sum()
    found: dict[str, dict[str, Row]] = {}
    for (level, family), fails, total in sums.itertuples():
        low, high = clopper_pearson(fails, total)
        rates = {"per_million": fails / total, "low": low, "high": high}
        cell = {name: 1e6 * rate for name, rate in rates.items()}
        found.setdefault(level, {})[family] = cell
    order = sorted(found, key=lambda level: ("SMN".index(level[0]), level))
    return {level: found[level] for level in order}


def shares(circuits: Frame) -> Frame:
    """Return shares of nodes: a row per model, a column per quantity."""
    return _share(circuits[circuits["total"].notna()], "model", "quantity")


def _share(rows: Frame, index: str, columns: str) -> Frame:
    """Return summed counts over summed totals in wide form."""
    sums = rows.groupby([index, columns], sort=False)[["count", "total"]].sum()
    return (sums["count"] / sums["total"]).astype(float).unstack()


def maps(tables: Tables, context: Row) -> Frame:
    """Return the columns of MAPS: a row per model, NaN for a model without a map."""
    circuits = tables["arith_circuits"]
    controls = tables["arith_controls"]
    by_rule = circuits.drop(columns="count").rename(columns={"published_rule": "count"})
    kept = {
        name: _share(controls[controls["control"] == KEEP_ONLY + name], "model", "of")
        for name in ("mean", "resample")
    }
    parts = {
        "count": circuits.pivot(index="model", columns="quantity", values="count"),
        "published": circuits.pivot(
            index="model", columns="quantity", values="published"
        ),
        "share": shares(circuits),
        "rule": shares(by_rule.dropna(subset="count")),
        "claims": count_clauses(tables["arith_claims"], "model"),
        **kept,
    }
    names = [model["name"] for model in context["arith"]["models"]]
    columns = pd.MultiIndex.from_tuples(MAPS.values())
    found = pd.concat(parts, axis=1).reindex(index=names, columns=columns)
    return found.set_axis(list(MAPS), axis=1)


def sufficiency(controls: Frame) -> Frame:
    """Return shares of right answers by nodes kept and ablation of the others."""
    rows = controls[controls["control"].str.startswith(KEEP_ONLY)]
    rows = rows.assign(replaced=rows["control"].str.removeprefix(KEEP_ONLY))
    nodes = rows.groupby("of")["nodes"].first()
    return _share(rows, "of", "replaced").assign(nodes=nodes)


def chance(controls: Frame) -> Frame:
    """Return how often sub-tasks are found in the model and at chance level.

    The index are sub-tasks, also ALL_TASKS, and the keys of CHANCE.  The columns are
    `count`, `total`, and the exact 95 % interval of the share, which treats all tests
    as independent.
    """
    rows = controls[controls["control"].isin(CHANCE)]
    rows = pd.concat([rows, rows.assign(of=ALL_TASKS)])
    sums = rows.groupby(["of", "control"], sort=False)[["count", "total"]].sum()
    ends = [
        clopper_pearson(count, total) if total else (0.0, 1.0)
        for count, total in sums.itertuples(index=False)
    ]
    return sums.assign(low=[low for low, _ in ends], high=[high for _, high in ends])


def subtasks(tables: Tables, context: Row) -> dict[str, dict[str, Row]]:
    """Return the numbers of nodes by model and sub-task.

    `count` follows our rules, `published_rule` the published ones.  Sub-tasks without
    nodes are omitted.
    """
    rows = tables["arith_circuits"]
    rows = rows[rows["quantity"].isin(SUBTASKS)]
    counts = rows.groupby("quantity")[["count", "published_rule"]].max().max(axis=1)
    rows = rows[rows["quantity"].map(counts) > 0]
    grouped = rows.groupby("model", sort=False)
    return {
        str(model): {row["quantity"]: row for row in records(own)}
        for model, own in grouped
    }


def reuse(tables: Tables, context: Row) -> dict[str, list[Row]]:
    """Return how many nodes inserted from its parent each model uses."""
    grouped = tables["arith_reuse"].groupby("model", sort=False)
    return {str(model): records(own) for model, own in grouped}
