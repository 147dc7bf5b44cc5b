"""The numbers that the paper's prose names, each from a table or a setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import fmean, median
from typing import Any

from mathprobe.linalg.draws import laws_for
from mathprobe.linalg.laws import FACTOR, parts
from mathprobe.paper.latex import (
    DASH,
    duration,
    fixed,
    nearest,
    percent,
    plain,
    scientific,
    significant,
    span,
    tex,
    thousands,
)
from mathprobe.paper.tables import SHOWN_TOLERANCE, Row
from mathprobe.paper.views import (
    MARCHENKO,
    PARTS,
    Cells,
    Facts,
    Model,
    Tables,
    ceilings,
    ceilings_by_tolerance,
    conditions,
    device,
    failures,
    part,
    percentages,
    printed_cells,
    speeds,
    summaries,
    verifiers,
)


def results(tables: Tables, facts: Facts) -> dict[str, str]:
    """Give every number that the prose names, as LaTeX."""
    scale = facts["scale"]
    return {
        "scale": tex(scale),
        "scale/full": "yes" if facts["full"] else "no",
        "scale/recorded": "yes" if facts["recorded"] else "no",
        "scale/of": tex(facts["settings_of"]),
        "scale/models": str(facts["models"]),
        **_settings("here", facts["study"]),
        **_settings("paper", facts["reference"]),
        **_failure_numbers(tables, facts),
        **_verifier_numbers(tables, facts),
        **_grid_numbers(tables, facts),
        **_speed_numbers(tables, facts),
        **_condition_numbers(tables, facts),
        **_ceiling_numbers(tables, facts),
        **_errata_numbers(tables, facts),
        **_run_numbers(tables, facts),
    }


def _settings(prefix: str, study: Row) -> dict[str, str]:
    """Say how the models of the first table are built, trained and tested."""
    entry = study["tables"]["out_of_distribution"][0]
    recipe = study["recipes"][entry["recipe"]]
    marchenko = study["laws"].get(MARCHENKO, {})
    deviation = marchenko.get("deviation", FACTOR.deviation)
    numbers = {
        "task": tex(entry["task"].replace("_", " ")),
        "n": str(entry["n"]),
        "recipe": tex(entry["recipe"]),
        "query": tex(recipe["query"]),
        "encodings": " to ".join(
            tex(recipe[side]["encoding"].upper()) for side in ("input", "output")
        ),
        "precision": recipe["precision"],
        "seeds": str(recipe["seeds"]),
        "tests/examples": thousands(study["tests"]["examples"]),
        "tests/tolerance": plain(100 * SHOWN_TOLERANCE),
        "marchenko/deviation": fixed(deviation, 3),
        "coefficients": marchenko.get("coefficients", FACTOR.coefficients),
        "curve/examples": thousands(recipe["curve"]["examples"]),
        **_training(recipe["schedule"]),
    }
    for side in ("input", "output"):
        numbers[f"{side}/encoding"] = tex(recipe[side]["encoding"].upper())
        numbers[f"{side}/digits"] = str(recipe[side]["digits"])
    for stack in ("encoder", "decoder"):
        for key in ("layers", "width", "heads"):
            numbers[f"{stack}/{key}"] = str(recipe[stack][key])
    return {f"{prefix}/{key}": text for key, text in numbers.items()}


def _training(schedule: Row) -> dict[str, str]:
    updates = math.ceil(schedule["examples"] / schedule["batch"])
    counts = ("examples", "batch", "warmup_updates", "cosine_updates")
    rates = ("learning_rate", "final_learning_rate")
    return {
        **{f"training/{key}": thousands(schedule[key]) for key in counts},
        **{f"training/{key}": scientific(schedule[key]) for key in rates},
        "training/updates": thousands(updates),
        "training/clip_norm": plain(schedule["clip_norm"]),
        "curve/every": thousands(schedule["curve_every"]),
    }


ANSWERS = {  # the first model of each kind of answer is the one that the prose names
    "vectors": ("eigenvectors",),
    "inverses": ("inverse", "symmetric_inverse"),
}
KEPT = {  # quantity, group, tolerance, statistic, at
    "accuracy": ("error", "all", None, "below", SHOWN_TOLERANCE),
    "eigenvalues": ("eigenvalue_error", "all", None, "below", 0.01),
    "norms": ("norm_deviation", "all", None, "below", 0.01),
    "row_angles": ("row_angle", "all", None, "below", 0.1),
    "angles": ("angle", "all", None, "below", 0.1),
    "near": ("inverse_error", "all", None, "below", 0.05),
    "nearby": ("inverse_error", "all", None, "below", 0.25),
    "right/angles": ("angle", "success", SHOWN_TOLERANCE, "below", 0.03),
    "wrong/angles": ("angle", "failure", SHOWN_TOLERANCE, "below", 0.03),
    "wrong/eigenvalues": (
        *("eigenvalue_error", "failure", SHOWN_TOLERANCE, "below", 0.01),
    ),
    "wrong/norms": ("norm_deviation", "failure", SHOWN_TOLERANCE, "below", 0.01),
    "wrong/near": ("inverse_error", "failure", SHOWN_TOLERANCE, "below", 0.05),
}
RATES = ("right", "successes_below", "failures_above")


def _first(views: Iterable[Row], answers: str) -> Row | None:
    return next((view for view in views if view["task"] in ANSWERS[answers]), None)


def _beside(key: str, cell: Row, printed: float | None) -> dict[str, str]:
    """Give a share of ours, that of exact answers, and what is printed."""
    return {
        key: percent(cell.get("value")),
        f"{key}/exact": percent(cell.get("oracle")),
        f"{key}/published": plain(None if printed is None else 100 * printed),
    }


def _failure_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Describe what the failures of the first model of each kind keep."""
    numbers = {}
    for answers in ANSWERS:
        prefix, main = f"failures/{answers}", _first(failures(tables, facts), answers)
        shown = main or {"cells": {}, "published": {}}
        size = shown.get("published_n")
        numbers |= {
            f"{prefix}/shown": "yes" if main else "no",
            f"{prefix}/task": tex((shown.get("task") or DASH).replace("_", " ")),
            f"{prefix}/n": plain(shown.get("n")),
            f"{prefix}/examples": thousands(shown.get("examples")),
            f"{prefix}/published_n": plain(size),
            f"{prefix}/same_n": "yes" if size and size == shown["n"] else "no",
        }
        for name, place in KEPT.items():
            cell = shown["cells"].get(place, {})
            printed = shown["published"].get(place)
            numbers |= _beside(f"{prefix}/{name}", cell, printed)
    return numbers


def _verifier_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Describe how well the failures of these models are predicted."""
    numbers = {}
    for answers in ANSWERS:
        prefix, main = f"verifiers/{answers}", _first(verifiers(tables, facts), answers)
        shown = main or {"cells": {}, "published": {}, "verifier": None}
        for chosen_by in ("paper", "calibration"):
            for rate in RATES:
                place = shown["verifier"], chosen_by, rate
                cell = shown["cells"].get(place, {})
                key = shown["verifier"], cell.get("threshold"), rate
                printed = shown["published"].get(key)
                numbers |= _beside(f"{prefix}/{chosen_by}/{rate}", cell, printed)
            threshold = significant(cell.get("threshold"))
            numbers[f"{prefix}/{chosen_by}/threshold"] = threshold
        area = shown["cells"].get((shown["verifier"], None, "auc"), {})
        for name, column in (("area", "value"), ("area/exact", "oracle")):
            numbers[f"{prefix}/{name}"] = fixed(area.get(column), 3)
        spread = _first(failures(tables, facts), answers)
        numbers |= _spread_numbers(prefix, spread or {}, shown["verifier"])
    return numbers


def _spread_numbers(prefix: str, spread: Row, quantity: str | None) -> dict[str, str]:
    """Give means and medians of the condition numbers of right and wrong answers."""
    numbers = {}
    for group, name in (("success", "right"), ("failure", "wrong")):
        for statistic, at, label in (
            ("mean", None, "mean"),
            ("quantile", 0.5, "median"),
        ):
            place = quantity, group, SHOWN_TOLERANCE, statistic, at
            cell = spread.get("cells", {}).get(place, {})
            key = f"{prefix}/{name}/{label}"
            numbers[key] = significant(cell.get("value"))
            numbers[f"{key}/exact"] = significant(cell.get("oracle"))
            for source in ("published", "notebook"):
                printed = spread.get(source, {}).get(place)
                numbers[f"{key}/{source}"] = significant(printed)
    return numbers


def _grid_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Describe the first table of accuracies in numbers, and give all cells of all."""
    squares = summaries(tables, facts)
    main = squares[0]
    size = main["published_n"]
    return {
        **{key: text for grid in squares for key, text in _cells(grid)},
        "squares": str(len(squares)),
        "main/models": str(len(_measured(main)) * main["seeds"]),
        "main/seeds": str(main["seeds"]),
        "main/examples": thousands(main["examples"]),
        "main/published_n": str(size) if size else DASH,
        "main/same_n": "yes" if size == main["n"] else "no",
        "main/all_positive": fixed(100 * 0.5 ** main["n"], 1),
        "main/published_all_positive": fixed(100 * 0.5**size if size else None, 1),
        "main/oracle": span(
            100 * share for share in main["ceilings"].values() if share is not None
        ),
        "main/home_of_oracle": span(_home_of_oracle(main)),
        "main/agreement/cells": str(main["compared"]),
        "main/agreement/rank": fixed(main["rank"], 2),
        "main/agreement/difference": fixed(main["difference"], 1),
        **_described("main/ours", percentages(main), 1),
        **_described("main/published", main["published"], 0),
        **_printed_numbers(facts["published"]),
    }


def _measured(grid: Row) -> set[Model]:
    """Give the models of a square that were trained."""
    cells = grid["cells"].items()
    return {model for (model, _), row in cells if row["accuracy"] is not None}


def _cells(grid: Row) -> Iterator[tuple[str, str]]:
    for (train, test), accuracy in percentages(grid).items():
        yield f"ood/{grid['name']}/{train}/{test}", fixed(accuracy, 1)


def _home_of_oracle(grid: Row) -> Iterator[float]:
    for (model, test), cell in grid["cells"].items():
        if test in parts(model.law) and cell["oracle"]:
            yield 100 * cell["accuracy"] / cell["oracle"]


def _described(prefix: str, cells: Cells, digits: int) -> dict[str, str]:
    """Give the ranges of the parts of a square that the prose speaks of."""
    means: dict[str, list[float]] = {law: [] for law in laws_for("eigenvalues")}
    for (train, _), value in cells.items():
        means.setdefault(train, []).append(value)
    return {
        **{f"{prefix}/{name}": span(part(cells, name), digits) for name in PARTS},
        **{
            f"{prefix}/mean/{law}": fixed(fmean(values) if values else None, 1)
            for law, values in means.items()
        },
    }


def _printed_numbers(published: Row) -> dict[str, str]:
    """Describe every printed square, whatever was measured."""
    numbers = {}
    for task, sizes in published["out_of_distribution"].items():
        for size in sizes:
            cells = printed_cells(published, task, int(size[1:]))
            numbers |= _described(f"published/{task}_{size}", cells, 0)
            for (train, test), value in cells.items():
                numbers[f"published/{task}_{size}/{train}/{test}"] = plain(value)
    return numbers


def _speed_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Describe the first table of learning speeds in numbers."""
    views = speeds(tables, facts)
    main = views[0] if views else None
    cells = main["cells"] if main else {}
    reached = [key for key, cell in cells.items() if cell["examples"] is not None]
    numbers = {
        "speed/n": plain(main["n"] if main else None),
        "speed/target": plain(100 * main["target"] if main else None),
        "speed/resolution": thousands(main["resolution"] if main else None),
        "speed/budget": thousands(main["budget"] if main else None),
        "speed/curves": str(len(cells)),
        "speed/reached": str(len(reached)),
        "speed/published_target": plain(main["published_accuracy"] if main else None),
        "speed/published_n": plain(main["published_n"] if main else None),
    }
    for law in ("semicircle", "gaussian", "laplace"):
        model = Model(law, main["recipes"][0]) if main else None
        here = cells.get((model, "semicircle"), {}).get("examples")
        there = main["published"].get((law, "semicircle")) if main else None
        numbers[f"speed/ours/{law}"] = nearest(here, main and main["resolution"])
        numbers[f"speed/published/{law}"] = thousands(there)
    return numbers


def _condition_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Count the published quantiles that lie in the measured intervals."""
    main = conditions(tables, facts)[0]
    published = main["published"] if main["n"] == main["published_n"] else {}
    inside = [
        main["cells"][key]["low"] <= value <= main["cells"][key]["high"]
        for key, value in published.items()
        if key in main["cells"]
    ]
    rejected = {law: row["rejected"] for (law, _), row in main["cells"].items()}
    rest = sum(count for law, count in rejected.items() if law != MARCHENKO)
    return {
        "conditions/n": str(main["n"]),
        "conditions/matrices": thousands(main["matrices"]),
        "conditions/compared": str(len(inside)),
        "conditions/covered": str(sum(inside)),
        "conditions/rejected/marchenko": thousands(rejected.get(MARCHENKO)),
        "conditions/rejected/others": thousands(rest),
    }


def _ceiling_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Hold the published accuracies against what exact answers reach."""
    squares = ceilings(tables, facts)
    verdicts = [one for square in squares for one in square["verdicts"].values()]
    numbers = {
        "ceilings/cells": str(len(verdicts)),
        "ceilings/at": str(verdicts.count("at")),
        "ceilings/above": str(verdicts.count("above")),
    }
    for group in ceilings_by_tolerance(tables, facts):
        shares = group["cells"][SHOWN_TOLERANCE]
        for who, values in shares.items():
            key = f"ceilings/{group['task']}_n{group['n']}/{who}"
            # The first encodings and laws of a question are those of its table.
            numbers.setdefault(key, span(100 * share for share in values))
    for square in squares:
        prefix = f"ceilings/{square['task']}_n{square['n']}"
        for which in (MARCHENKO, "others"):
            laws = [
                law
                for law in square["tests"]
                if (law == MARCHENKO) != (which == "others")
            ]
            described = _of_columns(square, laws)
            numbers |= {
                f"{prefix}/{which}/{key}": text for key, text in described.items()
            }
    return numbers


def _of_columns(square: Row, laws: list[str]) -> dict[str, str]:
    """Say what exact answers, labels and the best published model score on laws."""
    best_of: dict[str, float] = {}
    for (_, test), value in square["published"].items():
        best_of[test] = max(value, best_of.get(test, value))
    printed = [law for law in laws if law in best_of]  # of a new law nothing is
    rows = [square["ceilings"][law] for law in printed]
    best = [best_of[law] for law in printed]
    of_oracle = [high / row["oracle"] for high, row in zip(best, rows, strict=True)]
    return {
        "oracle": span(100 * row["oracle"] for row in rows),
        "label": span(100 * row["label"] for row in rows),
        "best": span(best, 0),
        "best_of_oracle": span(of_oracle, 0),
    }


ON_ERRATA = {  # evidence that the prose names, and where it stands
    "missed_labels": ("exact_tokens", "labels that miss the tolerance themselves"),
    "mean_condition": ("mantissa", "mean of the failures, notebook"),
    "cases": ("mantissa", "failures at 5 %, if one value makes mean and deviation"),
}


def _errata_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Count the errata, and give the evidence that weighs most."""
    rows = {(r["evidence"], r["quantity"]): r for r in tables.get("evidence") or []}
    found = {key: rows.get(place, {}) for key, place in ON_ERRATA.items()}
    points = facts["errata"]["contradictions"].values()
    return {
        "errata/contradictions": str(len(points)),
        "errata/measured": str(sum("evidence" in point for point in points)),
        "errata/silences": str(len(facts["errata"]["silences"])),
        "errata/missed_labels": fixed(found["missed_labels"].get("value"), 1),
        "errata/mean_condition": plain(found["mean_condition"].get("printed")),
        "errata/mean_condition/notebook": significant(
            found["mean_condition"].get("value")
        ),
        "errata/cases": thousands(found["cases"].get("value")),
    }


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(tex(value) for value in values))


def _run_numbers(tables: Tables, facts: Facts) -> dict[str, str]:
    """Say by what, where and how long the models were trained."""
    rows = tables.get("runs") or []
    first = rows[0] if rows else {}
    speed = [row["examples_per_second"] for row in rows]
    clean = {row["clean"] for row in rows}
    return {
        "runs/models": str(len(rows)),
        "runs/time": duration(sum(row["seconds"] for row in rows)),
        "runs/longest": duration(max((row["seconds"] for row in rows), default=None)),
        "runs/examples_per_second": thousands(median(speed) if speed else None),
        "runs/parameters": thousands(first.get("parameters")),
        "runs/devices": _listed(device(row) for row in rows),
        "runs/python": _listed(row["python"] for row in rows),
        "runs/torch": _listed(row["torch"] for row in rows),
        "runs/revision": _listed((row["revision"] or "")[:10] for row in rows),
        "runs/clean": "yes"
        if clean == {True}
        else "no"
        if False in clean
        else "unknown",
        "runs/resumed": str(sum(row["attempts"] > 1 for row in rows)),
    }
