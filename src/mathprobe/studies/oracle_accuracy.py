"""Accuracy of exact solutions that are rounded by the encodings, without a network.

Two solutions are scored like the predictions of a model.  The `oracle` is the solution
of the rounded input.  The `label`, a model's training target, is the solution of the
input before rounding.  The encoding of the output rounds both solutions.
B: examples, [r, c]: matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mathprobe.intervals import wilson
from mathprobe.linalg.scores import is_below, relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import EncodedTestSet, OracleTests, TestSet
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset

COLUMNS = (
    *("task", "test", "n", "input", "input_digits", "output", "output_digits"),
    *("tolerance", "examples", "oracle", "low", "high"),
    *("label", "label_low", "label_high"),
)


def draw_test(spec: EncodedTestSet) -> tuple[Tensor, Tensor]:
    """Return the matrices and answers [B, r, c] of a test set."""
    test = make_testset(TestSet(spec.data, spec.examples))
    return torch.from_numpy(test["matrix"]), torch.from_numpy(test["answer"])


def relative_errors(spec: EncodedTestSet) -> dict[str, Tensor]:
    """Return the relative errors [B] of `oracle` and `label` on a test set."""
    codecs, task = Codecs(spec), spec.data.task
    matrix, answer = draw_test(spec)
    rounded, label = codecs.round_trip(matrix, answer)
    # Equal to `Codecs.oracle`, but takes half the time: the input is rounded once.
    solutions = {
        "oracle": codecs.target.round_trip(TASKS[task].solve(rounded)),
        "label": label,
    }
    return {
        name: relative_error(task, rounded, label, solution)
        for name, solution in solutions.items()
    }


def table(spec: OracleTests) -> Iterator[dict[str, Any]]:
    """Yield accuracies between 0 and 1, one row per test set and tolerance."""
    for test in spec.tests:
        errors, columns = relative_errors(test), _columns(test)
        for tolerance in spec.tolerances:
            yield {**columns, "tolerance": tolerance, **_accuracies(errors, tolerance)}


def _columns(spec: EncodedTestSet) -> dict[str, Any]:
    """Return the columns that identify a test set."""
    data = spec.data
    return {
        **{"task": data.task, "test": data.distribution, "n": data.n},
        **{"input": spec.input.encoding, "input_digits": spec.input.digits},
        **{"output": spec.output.encoding, "output_digits": spec.output.digits},
        "examples": spec.examples,
    }


def _accuracies(errors: dict[str, Tensor], tolerance: float) -> dict[str, float]:
    """Return the accuracy of each solution, with its Wilson interval."""
    row: dict[str, float] = {}
    for name, error in errors.items():
        correct = int(is_below(error, tolerance).sum())
        prefix = "label_" * (name == "label")
        low, high = wilson(correct, len(error))
        row |= {name: correct / len(error), f"{prefix}low": low, f"{prefix}high": high}
    return row
