"""LaTeX macros of the second study: the numbers about decoders and their circuits."""

import pandas as pd

from mathprobe.arith.claims import WRONG_PER_MILLION_LIMIT
from mathprobe.intervals import TAIL, clopper_pearson
from mathprobe.paper import arith_pivots as pivots
from mathprobe.paper import formats
from mathprobe.paper.arith_tables import FAMILIES
from mathprobe.paper.findings import NEARLY_ALL
from mathprobe.paper.formats import (
    Macros,
    escape_latex,
    percent,
    plain,
    thousands,
    under,
    yes_or_no,
)
from mathprobe.paper.tables import Frame, Row, Tables

REUSE_MACROS = {  # quantities of a model with a parent, and their macros
    "inserted nodes in use": "inserted",
    "inserted nodes for several classes": "several_classes",
    "inserted nodes that still do a sub-task": "same_subtask",
}


def decoders(tables: Tables, context: Row) -> Macros:
    """Return the wrong answers of decoders, and how many have fewer than the limit."""
    models, settings = pivots.decoders(tables, context), context["arith"]
    rates = pivots.rates(tables, context)
    matched = pivots.matching_rates(rates)
    measured = models["per_million"]
    macros = {
        "models": str(len(models)),
        "sizes": str(models["digits"].nunique()),
        "tested": str(measured.count()),
        "measured": yes_or_no(measured.count()),
        "questions": thousands(settings["questions"]),
        "width": str(settings["width"]),
        "enriched": percent(settings["enriched"], 0),
        "passed": str((models["high"] < WRONG_PER_MILLION_LIMIT).sum()),
        "faultless": str((measured == 0).sum()),
        "bound": thousands(1e6 * clopper_pearson(0, settings["questions"])[1]),
        "compared": str(len(matched)),
        "matched": str(sum(matched)),
    }
    counts = rates[["per_million", "fails", "questions", "high"]]
    for family in FAMILIES.values():
        worst = counts[rates["family"] == family].max()
        macros |= under(f"{family}/worst", _wrong(worst))
    labels = pivots.decoder_names(tables, context)
    for role, name in _lineage(models).items():
        macros[role] = escape_latex(labels.get(name or ""))
        for operation in ("addition", "subtraction"):
            own = counts.reindex([(name, operation)]).iloc[0]
            macros |= under(f"{role}/{operation}", _wrong(own))
    return macros


def _wrong(counts: pd.Series) -> Macros:
    """Format counts of wrong answers and questions, and rates per million."""
    return {str(column): thousands(count) for column, count in counts.items()}


def accuracy_claim(evidence: list[Row]) -> Macros:
    """Return how many of the published models reach the accuracy that is stated."""
    (row,) = (row for row in evidence if row["evidence"] == "accuracy_claim")
    return {"passed": plain(row["value"]), "models": plain(row["total"])}


def _lineage(models: Frame) -> dict[str, str | None]:
    """Return a tested child, its parent, and a model of its shape without a parent."""
    tested = models[models["per_million"].notna()]
    children = tested[tested["parent"].notna()]
    if children.empty:
        return dict.fromkeys(("child", "parent", "scratch"))
    child, shape = children.iloc[0], ["operation", "digits", "layers", "heads", "steps"]
    alike = (tested[shape] == child[shape]).all(axis=1) & tested["parent"].isna()
    scratch = next(iter(tested["model"][alike]), None)
    return {"child": child["model"], "parent": child["parent"], "scratch": scratch}


def circuits(tables: Tables, context: Row) -> Macros:
    """Return numbers of the maps of the example models, and of all models together."""
    models = pivots.maps(tables, context)
    reuse = tables["arith_reuse"].set_index(["model", "quantity"])
    controls = tables["arith_controls"]
    labels = pivots.decoder_names(tables, context)
    is_mapped, examples = models["heads"].notna(), context["arith"]["example_models"]
    macros = {"models": str(len(models)), "mapped": str(is_mapped.sum())}
    macros["examples"] = str(is_mapped[list(examples.values())].sum())
    for key in ("hold", "clauses"):
        macros[f"all/{key}"] = plain(models[key].sum())
    for role, name in examples.items():
        macros[f"{role}/model"] = escape_latex(labels[name])
        for key, (source, _) in pivots.MAPS.items():
            value = models.loc[name, key]
            is_count = source in ("count", "published", "claims")
            macros[f"{role}/{key}"] = plain(value) if is_count else percent(value, 0)
        for quantity, key in REUSE_MACROS.items():
            for end, column in (("", "count"), ("/of", "total")):
                value = reuse[column].get((name, quantity))
                macros[f"{role}/{key}{end}"] = plain(value)
        curve = tables["arith_sufficiency"]
        macros |= under(f"{role}/curve", _curve(curve[curve["model"] == name]))
        macros |= under(f"{role}/chance", _chance(controls[controls["model"] == name]))
    return macros


def _curve(rows: Frame) -> Macros:
    """Return how many answers stay right with two sets of nodes and the greedy order.

    `added` of the `rest` nodes are needed for NEARLY_ALL of the answers that stay right
    with all useful nodes.
    """
    macros = {}
    for order, key in (("published", "published"), ("most pairs", "most")):
        for ablation in ("mean", "resample"):
            own = rows[(rows["order"] == order) & (rows["ablation"] == ablation)]
            value = own["value"].max()
            macros[f"{key}/{ablation}"] = percent(value, 0)
    greedy = rows[(rows["order"] == "greedy") & (rows["ablation"] == "mean")]
    added = greedy["nodes"] - greedy["nodes"].min()
    enough = greedy["value"] >= NEARLY_ALL * greedy["value"].tail(1).max()
    return macros | {"added": plain(added[enough].min()), "rest": plain(added.max())}


def _chance(controls: Frame) -> Macros:
    """Return how often sub-tasks are found by the search and by its controls.

    `p` is the larger p-value of one-sided exact tests (Fisher) of equal shares in the
    model and in a control.  `above` is whether it is less than 2.5 %.
    """
    from scipy.stats import fisher_exact

    keys = pd.MultiIndex.from_product([[pivots.ALL_TASKS], list(pivots.CHANCE)])
    found = pivots.chance(controls).reindex(keys).droplevel(0)
    macros = {}
    for control, row in found.rename(index={"random nodes": "random"}).iterrows():
        for column in ("count", "total"):
            macros[f"{control}/{column}"] = plain(row[column])
        for end in ("low", "high"):
            macros[f"{control}/{end}"] = percent(row[end], 0)
    p = None
    if found["count"].notna().all():
        hits, misses = found["count"], found["total"] - found["count"]
        ours, *others = zip(hits, misses, strict=True)
        tests = (fisher_exact([ours, other], alternative="greater") for other in others)
        p = max(test.pvalue for test in tests)
    above = p is not None and p < TAIL
    return macros | {"p": formats.significant(p, 2), "above": yes_or_no(above)}
