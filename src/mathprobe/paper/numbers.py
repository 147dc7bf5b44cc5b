"""The numbers that the paper's prose names, each from a table or a setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import fmean, median
from typing import Any

from mathprobe.linalg.draws import laws_for
from mathprobe.linalg.laws import FACTOR, parts
from mathprobe.paper import (
    arith_macros,
    ceiling_numbers,
    failure_numbers,
)
from mathprobe.paper.latex import (
    DASH,
    duration,
    fixed,
    nearest,
    plain,
    scientific,
    span,
    tex,
    thousands,
)
from mathprobe.paper.naming import Model
from mathprobe.paper.tables import SHOWN_TOLERANCE, Row
from mathprobe.paper.views import (
    MARCHENKO,
    PARTS,
    Cells,
    Facts,
    Tables,
    conditions,
    device,
    part,
    percentages,
    printed_cells,
    speeds,
    summaries,
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
        **failure_numbers.keeping(tables, facts),
        **failure_numbers.predicting(tables, facts),
        **_grid_numbers(tables, facts),
        **_speed_numbers(tables, facts),
        **_condition_numbers(tables, facts),
        **ceiling_numbers.ceiling(tables, facts),
        **ceiling_numbers.errata(tables, facts),
        **_run_numbers(tables, facts),
        **arith_macros.decoders(tables, facts),
        **arith_macros.circuits(tables, facts),
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
