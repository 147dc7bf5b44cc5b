r"""LaTeX macros: the numbers that the prose prints with \result."""

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, product
from statistics import fmean, median
from typing import Any

import pandas as pd

from mathprobe.errors import InputError
from mathprobe.linalg.distributions import FACTOR
from mathprobe.paper import arith_macros, formats, pivots
from mathprobe.paper.formats import (
    Macros,
    escape_latex,
    fixed,
    percent,
    plain,
    span,
    thousands,
    under,
    yes_or_no,
)
from mathprobe.paper.pivots import MARCHENKO, Accuracies, Key, Pivot
from mathprobe.paper.tables import TOLERANCE, Frame, Row, Tables, records

SHARES = {  # in sections 2 and 3: quantity, group of answers, upper bound
    "vectors": {
        "accuracy": ("error", "all", TOLERANCE),
        "eigenvalues": ("eigenvalue_error", "all", 0.01),
        "norms": ("norm_deviation", "all", 0.01),
        "row_angles": ("row_angle", "all", 0.1),
        "angles": ("angle", "all", 0.1),
        "right/angles": ("angle", "success", 0.03),
        "wrong/angles": ("angle", "failure", 0.03),
        "wrong/eigenvalues": ("eigenvalue_error", "failure", 0.01),
        "wrong/norms": ("norm_deviation", "failure", 0.01),
    },
    "inverses": {
        "accuracy": ("error", "all", TOLERANCE),
        "within_5": ("inverse_error", "all", 0.05),
        "within_25": ("inverse_error", "all", 0.25),
        "wrong/within_5": ("inverse_error", "failure", 0.05),
    },
}
ERRATA_EVIDENCE = {  # macros, and the evidence and quantity that they print
    "missed_labels": ("exact_tokens", "training labels outside the tolerance"),
    "mean_condition": ("mantissa", "mean of the failures, notebook"),
    "cases": (
        "mantissa",
        "failures at 5 %, if one value determines mean and deviation",
    ),
}


def all_macros(tables: Tables, context: Row) -> Macros:
    """Return all macros, from tidy tables by kind and the context of templates."""
    rows = {name: records(frame) for name, frame in tables.items()}
    summaries = pivots.summaries(tables, context)
    known = [one for one in summaries if one["pivot"].measured]
    complete = (one for one in known if one["pivot"].rows["accuracy"].notna().all())
    main = next(chain(complete, known, summaries))
    return {
        "scale": escape_latex(context["scale"]),
        "scale/full": yes_or_no(context["full"]),
        "scale/recorded": yes_or_no(context["recorded"]),
        "scale/models": str(context["models"]),
        **under("here", _settings(context["study"], main["pivot"])),
        **under("paper", _settings(context["reference"])),
        **_failures_and_verifiers(tables, context),
        **_accuracies(main, max(1, len(known)), context),
        **under("speed", _speed(pivots.first_pivot("learning_speed", tables, context))),
        **under("conditions", _conditions(tables["condition_numbers"])),
        **under("oracle", _oracle(tables, context)),
        **under("errata", _errata(context["errata"])),
        **under("errata", _evidence(rows["evidence"])),
        **under("runs", _runs(rows["runs"])),
        "runs/unfinished": str(tables["costs"]["finished"].isna().sum()),
        **under("arith", arith_macros.decoders(tables, context)),
        **under("arith/errata", _errata(context["errata"], "arith_")),
        **under("arith/evidence", arith_macros.accuracy_claim(rows["arith_evidence"])),
        **under("circuits", arith_macros.circuits(tables, context)),
    }


def definitions(macros: Macros) -> str:
    r"""Return LaTeX definitions for \result; reject invalid keys and values."""
    for key, text in macros.items():
        if not re.fullmatch(r"[\w/]+", key) or not isinstance(text, str):
            allowed = "the name has letters, digits, _ and /, the value is text"
            raise InputError(f"{key!r}: {text!r} cannot be a macro: {allowed}")
    return "".join(f"\\defresult{{{key}}}{{{text}}}\n" for key, text in macros.items())


def _settings(study: Row, main: Pivot | None = None) -> Macros:
    """Return the settings of an accuracy matrix; default: of the first one."""
    entry = study["tables"]["out_of_distribution"][0]
    if main:
        entry = {"task": main.task, "n": main.n, "recipe": main.first("recipe")}
    recipe = study["recipes"][entry["recipe"]]
    schedule, sides = recipe["schedule"], ("input", "output")
    marchenko = {**vars(FACTOR), **study["distributions"].get(MARCHENKO, {})}
    counts = ("examples", "batch", "warmup_updates", "cosine_updates")
    rates = ("learning_rate", "final_learning_rate")
    encodings = {side: escape_latex(recipe[side]["encoding"].upper()) for side in sides}
    sizes = product(("encoder", "decoder"), ("layers", "width", "heads"))
    updates = math.ceil(schedule["examples"] / schedule["batch"])
    return {
        "task": escape_latex(entry["task"].replace("_", " ")),
        "n": str(entry["n"]),
        "query": escape_latex(recipe["query"]),
        "encodings": " to ".join(encodings.values()),
        "precision": recipe["precision"],
        "seeds": str(recipe["seeds"]),
        "tests/examples": thousands(study["tests"]["examples"]),
        "tests/tolerance": plain(100 * TOLERANCE),
        "marchenko/deviation": fixed(marchenko["deviation"], 3),
        "coefficients": marchenko["coefficients"],
        "curve/examples": thousands(recipe["curve"]["examples"]),
        "curve/every": thousands(schedule["curve_every"]),
        **{f"training/{key}": thousands(schedule[key]) for key in counts},
        **{f"training/{key}": formats.scientific(schedule[key]) for key in rates},
        "training/updates": thousands(updates),
        "training/clip_norm": plain(schedule["clip_norm"]),
        **{f"{side}/encoding": encodings[side] for side in sides},
        **{f"{side}/digits": str(recipe[side]["digits"]) for side in sides},
        **{f"{stack}/{key}": str(recipe[stack][key]) for stack, key in sizes},
    }


def _failures_and_verifiers(tables: Tables, context: Row) -> Macros:
    """Return the macros of sections 2 and 3, for the first model of each kind."""
    macros: Macros = {}
    for name, tasks in pivots.TASKS_OF.items():
        failures = pivots.first_pivot("failures", tables, context, *tasks)
        verifiers = pivots.first_pivot("verifiers", tables, context, *tasks)
        macros |= under(f"failures/{name}", _failures(failures, SHARES[name]))
        macros |= under(f"verifiers/{name}", _verifiers(verifiers, failures))
    answers = {macros[f"failures/{name}/measured"] for name in pivots.TASKS_OF}
    return macros | {"failures/measured": yes_or_no("yes" in answers)}


def _share(key: str, model: Pivot, cell: Key) -> Macros:
    """Return a measured share, that of the oracle, and the published one."""
    published = model.published.get(cell)
    return {
        key: percent(model.cells[cell]["value"]),
        f"{key}/oracle": percent(model.cells[cell]["oracle"]),
        f"{key}/published": plain(None if published is None else 100 * published),
    }


def _failures(model: Pivot, shares: dict[str, tuple[str, str, float]]) -> Macros:
    """Return the shares of a model's answers that have a property (section 2)."""
    macros = {
        "measured": yes_or_no(model.is_measured),
        "task": escape_latex(model.task.replace("_", " ")),
        "n": plain(model.n),
        "examples": thousands(model.largest("examples") or None),
        "published_n": plain(model.published_n),
        "same_n": yes_or_no(model.same_size),
    }
    for name, (quantity, group, bound) in shares.items():
        tolerance = None if group == "all" else TOLERANCE
        macros |= _share(name, model, (quantity, group, tolerance, "below", bound))
    return macros


def _verifiers(model: Pivot, failures: Pivot) -> Macros:
    """Return the rates of a model's verifier at both thresholds (section 3)."""
    verifier = model.first("verifier") if len(model.rows) else None
    macros: Macros = {}
    for chosen_by in ("paper", "calibration"):
        for rate in ("right", "successes_below", "failures_above"):
            cell = verifier, chosen_by, rate
            macros |= _share(f"{chosen_by}/{rate}", model, cell)
        threshold = model.cells[cell]["threshold"]
        macros[f"{chosen_by}/threshold"] = formats.significant(threshold)
    area = model.cells[verifier, None, "auc"]
    macros |= {"area": fixed(area["value"], 3), "area/oracle": fixed(area["oracle"], 3)}
    for name, group in {"right": "success", "wrong": "failure"}.items():
        mean = verifier, group, TOLERANCE, "mean", None
        middle = verifier, group, TOLERANCE, "quantile", 0.5
        macros |= {
            f"{name}/mean": formats.significant(failures.cells[mean]["value"]),
            f"{name}/mean/published": formats.significant(failures.published.get(mean)),
            f"{name}/mean/notebook": formats.significant(failures.notebook.get(mean)),
            f"{name}/median": formats.significant(failures.cells[middle]["value"]),
        }
    return macros


def _accuracies(first: Row, count: int, context: Row) -> Macros:
    """Return the macros of an accuracy matrix and of all published ones.

    `first` is the summary of the matrix, and `count` the number of matrices.
    """
    main, n = first["pivot"], first["pivot"].published_n
    macros = {
        "accuracy_tables": str(count),
        "main/measured": yes_or_no(main.measured),
        "main/seeds": str(main.largest("seeds")),
        "main/published_n": plain(n),
        "main/same_n": yes_or_no(main.same_size),
        "main/all_positive": percent(0.5**main.n),
        "main/published_all_positive": percent(n and 0.5**n),
        "main/oracle": span(100 * main.oracle.dropna()),
        "main/in_distribution_of_oracle": span(main.of_oracle),
        "main/agreement/cells": str(first["compared"]),
        "main/agreement/rank": fixed(first["rank"], 2),
        "main/agreement/difference": fixed(first["difference"], 1),
        **under("main/ours", _blocks(main.measured, 1)),
        **under("main/published", _blocks(main.published, 0)),
    }
    accuracy = context["published"]["accuracy"]
    for (task, n), rows in accuracy.groupby(["task", "n"], sort=False):
        cells = pivots.column_by_keys(rows, ["train", "test"], "published")
        diagonal = {f"{a}/{b}": plain(100 * v) for (a, b), v in cells.items() if a == b}
        macros |= under(f"published/{task}_n{n}", {**_blocks(cells, 0), **diagonal})
    return macros


def _blocks(cells: Accuracies, digits: int) -> Macros:
    """Return the ranges of blocks of an accuracy matrix, and the means of its rows."""
    blocks = pivots.blocks(cells)
    macros = {name: span(shares, digits) for name, shares in blocks.items()}
    for name in pivots.COMPARED:
        row = [share for (train, _), share in cells.items() if train == name]
        macros[f"mean/{name}"] = percent(fmean(row) if row else None)
    return macros


def _speed(main: Pivot) -> Macros:
    """Return the macros of a table of learning speeds, for its first recipe."""
    recipe = main.first("recipe") if len(main.rows) else None
    main = replace(main, rows=main.rows[main.rows["recipe"] == recipe])
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
    for train in pivots.COMPARED:
        cell, published = main.cells[train, recipe, "semicircle"], main.published
        macros[f"ours/{train}"] = formats.round_to(cell["examples"], step)
        macros[f"published/{train}"] = thousands(published.get((train, "semicircle")))
    return macros


def _conditions(rows: Frame) -> Macros:
    """Return how many published quantiles lie in the measured intervals."""
    matched = pivots.matching_quantiles(rows)
    rejected = rows.groupby("distribution")["rejected"].first()
    return {
        "n": str(rows["n"].iloc[0]),
        "matrices": thousands(rows["matrices"].iloc[0]),
        "compared": str(len(matched)),
        "covered": str(sum(matched)),
        "rejected/marchenko": thousands(rejected.get(MARCHENKO)),
        "rejected/others": thousands(rejected.drop(MARCHENKO, errors="ignore").sum()),
    }


def _oracle(tables: Tables, context: Row) -> Macros:
    """Return oracle accuracies, and how published accuracies compare with them."""
    comparisons = pivots.oracle_comparisons(tables, context)
    verdicts = [one for each in comparisons for one in each["verdicts"].values()]
    macros = {
        "cells": str(len(verdicts)),
        "at": str(verdicts.count("at")),
        "above": str(verdicts.count("above")),
    }
    for pivot in pivots.oracle_accuracies(tables, context):
        rows = pivot.rows[pivot.rows["tolerance"] == TOLERANCE]
        # The first pivot of a task and size has the encodings of the paper's table.
        for key, column in (("accuracy", "oracle"), ("label", "label")):
            macros.setdefault(f"{pivot.name}/{key}", span(100 * rows[column]))
    for each in comparisons:
        rows = each["oracle"].rows
        rows = rows[rows["tolerance"] == TOLERANCE].set_index("test")
        rows["best"] = pd.Series(each["published"]).groupby(level=1).max()
        rows = rows.dropna(subset="best")  # a distribution may have no published number
        marchenko = rows.index == MARCHENKO
        for name, own in ((MARCHENKO, rows[marchenko]), ("others", rows[~marchenko])):
            block = {
                "accuracy": span(100 * own["oracle"]),
                "label": span(100 * own["label"]),
                "best": span(100 * own["best"], 0),
                "best_of_oracle": span(100 * own["best"] / own["oracle"], 0),
            }
            macros |= under(f"{each['oracle'].name}/{name}", block)
    return macros


def _errata(errata: Row, study: str = "") -> Macros:
    """Return how many contradictions and omissions of a paper are listed."""
    points = errata[f"{study}contradictions"].values()
    return {
        "contradictions": str(len(points)),
        "measured": str(sum("evidence" in point for point in points)),
        "omissions": str(len(errata[f"{study}omissions"])),
    }


def _evidence(evidence: list[Row]) -> Macros:
    """Return the evidence on errata that the prose prints."""
    known = {(row["evidence"], row["quantity"]): row for row in evidence}
    labels, mean, cases = (known[place] for place in ERRATA_EVIDENCE.values())
    return {
        "missed_labels": fixed(labels["value"], 1),
        "mean_condition": plain(mean["printed"]),
        "mean_condition/notebook": formats.significant(mean["value"]),
        "cases": thousands(cases["value"]),
    }


def _runs(rows: list[Row]) -> Macros:
    """Return the machines, software and durations of the trainings."""
    speed = [row["examples_per_second"] for row in rows]
    seconds = [row["seconds"] for row in rows]
    clean = {row["clean"] for row in rows}

    def listed(values: Iterable[Any]) -> str:
        return ", ".join(dict.fromkeys(map(escape_latex, values)))

    return {
        "models": str(len(rows)),
        "time": formats.duration(sum(seconds)),
        "longest": formats.duration(max(seconds, default=None)),
        "examples_per_second": thousands(median(speed) if speed else None),
        "parameters": thousands(rows[0]["parameters"] if rows else None),
        "devices": listed(pivots.device(row) for row in rows),
        "python": listed(row["python"] for row in rows),
        "torch": listed(row["torch"] for row in rows),
        "revision": listed((row["revision"] or "")[:10] for row in rows),
        "clean": "no" if False in clean else "yes" if clean == {True} else "unknown",
        "resumed": str(sum(row["attempts"] > 1 for row in rows)),
    }
