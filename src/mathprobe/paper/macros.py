r"""The numbers that the prose names by \result, each from a table or a setting."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import product
from statistics import fmean, median
from typing import Any

import pandas as pd

from mathprobe.errors import InputError
from mathprobe.linalg.distributions import FACTOR, components
from mathprobe.linalg.examples import distributions_for
from mathprobe.linalg.tasks import TASKS
from mathprobe.paper import arith_macros, formats, pivots
from mathprobe.paper.formats import (
    escape_latex,
    fixed,
    percent,
    plain,
    significant,
    span,
    thousands,
)
from mathprobe.paper.pivots import (
    BLOCKS,
    MARCHENKO,
    Accuracies,
    Facts,
    Key,
    Pivot,
    Tables,
)
from mathprobe.paper.tables import KINDS, TOLERANCE, Frame, Row, records

Macros = dict[str, str]  # LaTeX by name


def all_macros(tables: Tables, facts: Facts) -> Macros:
    """Return every number that the prose names, as LaTeX."""
    rows = {name: records(frame) for name, frame in tables.items()}
    return {
        "scale": escape_latex(facts["scale"]),
        "scale/full": _yes(facts["full"]),
        "scale/recorded": _yes(facts["recorded"]),
        "scale/settings_of": escape_latex(facts["settings_of"]),
        "scale/models": str(facts["models"]),
        **_under("here", _settings(facts["study"])),
        **_under("paper", _settings(facts["reference"])),
        **_answers(tables, facts),
        **_squares(tables, facts),
        **_under("speed", _speed(_first("learning_speed", tables, facts))),
        **_under("conditions", _conditions(tables["condition_numbers"])),
        **_under("oracle", _ceilings(tables, facts)),
        **_under("errata", _errata(rows.get("evidence", []), facts["errata"])),
        **_under("runs", _runs(rows.get("runs", []))),
        **arith_macros.decoders(tables, facts),
        **arith_macros.circuits(tables, facts),
    }


def definitions(macros: Macros) -> str:
    r"""Write numbers for \result; they are LaTeX already."""
    for key, text in macros.items():
        if not re.fullmatch(r"[\w/]+", key) or not isinstance(text, str):
            raise InputError(f"{key!r}: {text!r} cannot be named in LaTeX")
    return "".join(f"\\defresult{{{key}}}{{{text}}}\n" for key, text in macros.items())


def _under(prefix: str, macros: Macros) -> Macros:
    return {f"{prefix}/{key}": text for key, text in macros.items()}


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _settings(study: Row) -> Macros:
    """Describe how the models of the first table are built, trained and tested."""
    entry = study["tables"]["out_of_distribution"][0]
    recipe = study["recipes"][entry["recipe"]]
    schedule, sides = recipe["schedule"], ("input", "output")
    marchenko = {**vars(FACTOR), **study["distributions"].get(MARCHENKO, {})}
    updates = math.ceil(schedule["examples"] / schedule["batch"])
    counts = ("examples", "batch", "warmup_updates", "cosine_updates")
    rates = ("learning_rate", "final_learning_rate")
    encodings = {side: escape_latex(recipe[side]["encoding"].upper()) for side in sides}
    return {
        "task": escape_latex(entry["task"].replace("_", " ")),
        "n": str(entry["n"]),
        "recipe": escape_latex(entry["recipe"]),
        "query": escape_latex(recipe["query"]),
        "encodings": " to ".join(encodings.values()),
        "precision": recipe["precision"],
        "seeds": str(recipe["seeds"]),
        "tests/examples": thousands(study["tests"]["examples"]),
        "tests/tolerance": plain(100 * TOLERANCE),
        "marchenko/deviation": fixed(marchenko["deviation"], 3),
        "coefficients": marchenko["coefficients"],
        "curve/examples": thousands(recipe["curve"]["examples"]),
        **{f"training/{key}": thousands(schedule[key]) for key in counts},
        **{f"training/{key}": formats.scientific(schedule[key]) for key in rates},
        "training/updates": thousands(updates),
        "training/clip_norm": plain(schedule["clip_norm"]),
        "curve/every": thousands(schedule["curve_every"]),
        **{
            f"{side}/{key}": text
            for side in sides
            for key, text in (
                ("encoding", encodings[side]),
                ("digits", str(recipe[side]["digits"])),
            )
        },
        **{
            f"{stack}/{key}": str(recipe[stack][key])
            for stack in ("encoder", "decoder")
            for key in ("layers", "width", "heads")
        },
    }


ANSWERS = {  # the first model of each kind of answer is the one that the prose names
    "vectors": ("eigenvectors",),
    "inverses": ("inverse", "symmetric_inverse"),
}
PROPERTIES = {  # quantity, group, tolerance, statistic, at
    "accuracy": ("error", "all", None, "below", TOLERANCE),
    "eigenvalues": ("eigenvalue_error", "all", None, "below", 0.01),
    "norms": ("norm_deviation", "all", None, "below", 0.01),
    "row_angles": ("row_angle", "all", None, "below", 0.1),
    "angles": ("angle", "all", None, "below", 0.1),
    "within_5": ("inverse_error", "all", None, "below", 0.05),
    "within_25": ("inverse_error", "all", None, "below", 0.25),
    "right/angles": ("angle", "success", TOLERANCE, "below", 0.03),
    "wrong/angles": ("angle", "failure", TOLERANCE, "below", 0.03),
    "wrong/eigenvalues": (*("eigenvalue_error", "failure", TOLERANCE, "below", 0.01),),
    "wrong/norms": ("norm_deviation", "failure", TOLERANCE, "below", 0.01),
    "wrong/within_5": ("inverse_error", "failure", TOLERANCE, "below", 0.05),
}
RATES = ("right", "successes_below", "failures_above")
SPREADS = {"mean": ("mean", None), "median": ("quantile", 0.5)}  # statistic, at


def _first(
    kind: str, tables: Tables, facts: Facts, tasks: Iterable[str] = TASKS
) -> Pivot:
    """Return the first pivot of these tasks; without any one of no rows."""
    none = Pivot("", "", Frame(columns=KINDS[kind].columns), Frame(), ())
    found = pivots.pivots(kind, tables, facts)
    return next((one for one in found if one.task in tasks), none)


def _answers(tables: Tables, facts: Facts) -> Macros:
    """Describe the failures of the first model of each kind of answers."""
    kept, judged = (
        {name: _first(kind, tables, facts, tasks) for name, tasks in ANSWERS.items()}
        for kind in ("failures", "verifiers")
    )
    macros: Macros = {}
    for name, model in kept.items():
        macros |= _under(f"failures/{name}", _failures(model))
    for name, model in judged.items():
        macros |= _under(f"verifiers/{name}", _verifiers(model, kept[name]))
    return macros


def _share(key: str, model: Pivot, place: Key) -> Macros:
    """Return a share of ours, that of exact answers, and what is printed."""
    printed = model.published.get(place)
    return {
        key: percent(model.cells[place]["value"]),
        f"{key}/oracle": percent(model.cells[place]["oracle"]),
        f"{key}/published": plain(None if printed is None else 100 * printed),
    }


def _failures(model: Pivot) -> Macros:
    """Describe what the failures of a model keep."""
    macros = {
        "measured": _yes(len(model.rows)),
        "task": escape_latex(model.task.replace("_", " ")),
        "n": plain(model.n),
        "examples": thousands(model.largest("examples") or None),
        "published_n": plain(model.published_n),
        "same_n": _yes(model.same_size),
    }
    for name, place in PROPERTIES.items():
        macros |= _share(name, model, place)
    return macros


def _verifiers(model: Pivot, failures: Pivot) -> Macros:
    """Describe how well the failures of a model are predicted, by both thresholds."""
    verifier = model.first("verifier") if len(model.rows) else None
    macros: Macros = {}
    for chosen_by in ("paper", "calibration"):
        for rate in RATES:
            row = verifier, chosen_by, rate
            macros |= _share(f"{chosen_by}/{rate}", model, row)
        threshold = model.cells[row]["threshold"]
        macros[f"{chosen_by}/threshold"] = significant(threshold)
    area = model.cells[verifier, None, "auc"]
    macros["area"] = fixed(area["value"], 3)
    macros["area/oracle"] = fixed(area["oracle"], 3)
    groups = {"right": "success", "wrong": "failure"}
    for (name, group), (label, how) in product(groups.items(), SPREADS.items()):
        place = verifier, group, TOLERANCE, *how
        shown = {
            "": failures.cells[place]["value"],
            "/oracle": failures.cells[place]["oracle"],
            "/published": failures.published.get(place),
            "/notebook": failures.notebook.get(place),
        }
        macros |= {f"{name}/{label}{end}": significant(v) for end, v in shown.items()}
    return macros


def _squares(tables: Tables, facts: Facts) -> Macros:
    """Describe the first table of accuracies in numbers, and give all cells of all."""
    squares = pivots.summaries(tables, facts)
    main, n = squares[0]["pivot"], squares[0]["pivot"].published_n
    models = main.rows.dropna(subset="accuracy")[["train", "recipe"]].drop_duplicates()
    seeds = main.largest("seeds")
    home = [
        100 * cell["accuracy"] / cell["oracle"]
        for (train, _, test), cell in main.cells.items()
        if test in components(train) and cell["accuracy"] is not None and cell["oracle"]
    ]
    return {
        **{
            f"ood/{square['pivot'].name}/{train}/{test}": percent(share)
            for square in squares
            for (train, test), share in square["pivot"].measured.items()
        },
        "accuracy_tables": str(len(squares)),
        "main/models": str(len(models) * seeds),
        "main/seeds": str(seeds),
        "main/examples": thousands(main.largest("examples")),
        "main/published_n": plain(n),
        "main/same_n": _yes(main.same_size),
        "main/all_positive": percent(0.5**main.n),
        "main/published_all_positive": percent(n and 0.5**n),
        "main/oracle": span(100 * main.oracle.dropna()),
        "main/in_distribution_of_oracle": span(home),
        "main/agreement/cells": str(squares[0]["compared"]),
        "main/agreement/rank": fixed(squares[0]["rank"], 2),
        "main/agreement/difference": fixed(squares[0]["difference"], 1),
        **_under("main/ours", _described(main.measured, 1)),
        **_under("main/published", _described(main.published, 0)),
        **_printed_squares(facts["published"]),
    }


def _described(cells: Accuracies, digits: int) -> Macros:
    """Return the ranges of the parts of a square that the prose speaks of."""
    means: dict[str, list[float]] = {
        distribution: [] for distribution in distributions_for("eigenvalues")
    }
    for (train, _), share in cells.items():
        means.setdefault(train, []).append(share)
    return {
        **{name: span(pivots.block(cells, name), digits) for name in BLOCKS},
        **{
            f"mean/{distribution}": percent(fmean(shares) if shares else None)
            for distribution, shares in means.items()
        },
    }


def _printed_squares(published: Tables) -> Macros:
    """Describe every printed square, whatever was measured."""
    macros: Macros = {}
    for (task, n), rows in published["accuracy"].groupby(["task", "n"], sort=False):
        cells = pivots.by(rows, ["train", "test"], "published")
        shown = _described(cells, 0)
        for (train, test), share in cells.items():
            shown[f"{train}/{test}"] = plain(100 * share)
        macros |= _under(f"published/{task}_n{n}", shown)
    return macros


def _speed(main: Pivot) -> Macros:
    """Describe a table of learning speeds in numbers."""
    step = main.largest("resolution") or None
    macros = {
        "n": plain(main.n),
        "target": plain(100 * main.largest("target") or None),
        "resolution": thousands(step),
        "budget": thousands(main.largest("budget") or None),
        "curves": str(len(main.rows)),
        "reached": str(main.rows["examples"].count()),
        "published_target": plain(max(main.printed.get("percent", ()), default=None)),
        "published_n": plain(main.published_n),
    }
    recipe = main.first("recipe") if len(main.rows) else None
    for distribution in pivots.FOLLOWED:
        ours = main.cells[distribution, recipe, "semicircle"]["examples"]
        macros[f"ours/{distribution}"] = formats.round_to(ours, step)
        macros[f"published/{distribution}"] = thousands(
            main.published.get((distribution, "semicircle"))
        )
    return macros


def _conditions(rows: Frame) -> Macros:
    """Count the published quantiles that lie in the measured intervals."""
    known = rows.dropna(subset="published")
    inside = known["published"].between(known["low"], known["high"])
    rejected = rows.groupby("law")["rejected"].first()
    return {
        "n": str(rows["n"].iloc[0]),
        "matrices": thousands(rows["matrices"].iloc[0]),
        "compared": str(len(inside)),
        "covered": str(inside.sum()),
        "rejected/marchenko": thousands(rejected.get(MARCHENKO)),
        "rejected/others": thousands(rejected.drop(MARCHENKO, errors="ignore").sum()),
    }


def _ceilings(tables: Tables, facts: Facts) -> Macros:
    """Compare the published accuracies with what exact answers reach."""
    squares = pivots.oracle_comparisons(tables, facts)
    verdicts = [one for square in squares for one in square["verdicts"].values()]
    macros = {
        "cells": str(len(verdicts)),
        "at": str(verdicts.count("at")),
        "above": str(verdicts.count("above")),
    }
    for exact in pivots.ceilings(tables, facts):
        shown = exact.rows[exact.rows["tolerance"] == TOLERANCE]
        for who, key in (("oracle", "accuracy"), ("label", "label")):
            # The first encodings and distributions of a question are those of its table.
            macros.setdefault(f"{exact.name}/{key}", span(100 * shown[who]))
    for square in squares:
        shown = square["oracle"].rows
        shown = shown[shown["tolerance"] == TOLERANCE].set_index("test")
        best = pd.Series(square["published"]).groupby(level=1).max()
        marchenko = shown.index == MARCHENKO
        for name, own in ((MARCHENKO, shown[marchenko]), ("others", shown[~marchenko])):
            macros |= _under(f"{square['oracle'].name}/{name}", _best(own, best))
    return macros


def _best(exact: Frame, best: pd.Series) -> Macros:
    """Describe exact answers, labels and the best published model, by test."""
    exact = exact[
        exact.index.isin(best.index)
    ]  # of a new distribution nothing is printed
    best = best[exact.index]
    return {
        "accuracy": span(100 * exact["oracle"]),
        "label": span(100 * exact["label"]),
        "best": span(100 * best, 0),
        "best_of_oracle": span(100 * best / exact["oracle"], 0),
    }


ERRATA_EVIDENCE = {  # evidence that the prose names, and where it stands
    "missed_labels": ("exact_tokens", "training labels outside the tolerance"),
    "mean_condition": ("mantissa", "mean of the failures, notebook"),
    "cases": (
        "mantissa",
        "failures at 5 %, if one value determines mean and deviation",
    ),
}


def _errata(evidence: list[Row], errata: Row) -> Macros:
    """Count the errata, and give the evidence that weighs most."""
    known = {(row["evidence"], row["quantity"]): row for row in evidence}
    labels, mean, cases = (known.get(place, {}) for place in ERRATA_EVIDENCE.values())
    points = errata["contradictions"].values()
    return {
        "contradictions": str(len(points)),
        "measured": str(sum("evidence" in point for point in points)),
        "omissions": str(len(errata["omissions"])),
        "missed_labels": fixed(labels.get("value"), 1),
        "mean_condition": plain(mean.get("printed")),
        "mean_condition/notebook": significant(mean.get("value")),
        "cases": thousands(cases.get("value")),
    }


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(escape_latex(value) for value in values))


def _runs(rows: list[Row]) -> Macros:
    """Describe by what, where and how long the models were trained."""
    speed = [row["examples_per_second"] for row in rows]
    seconds = [row["seconds"] for row in rows]
    clean = {row["clean"] for row in rows}
    return {
        "models": str(len(rows)),
        "time": formats.duration(sum(seconds)),
        "longest": formats.duration(max(seconds, default=None)),
        "examples_per_second": thousands(median(speed) if speed else None),
        "parameters": thousands(rows[0]["parameters"] if rows else None),
        "devices": _listed(pivots.device(row) for row in rows),
        "python": _listed(row["python"] for row in rows),
        "torch": _listed(row["torch"] for row in rows),
        "revision": _listed((row["revision"] or "")[:10] for row in rows),
        "clean": "no" if False in clean else "yes" if clean == {True} else "unknown",
        "resumed": str(sum(row["attempts"] > 1 for row in rows)),
    }
