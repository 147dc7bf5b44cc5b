"""What can be reached through tokens at all: ceilings of accuracy, without a network.

Two exact answers are scored as a model's would be.  The `oracle` solves the matrix that
the input tokens show and rounds as the output does.  The `label` is what a model is
trained to write: the answer to the unrounded matrix, rounded as the output does.
B: examples, [r, c]: matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mathprobe.intervals import wilson
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.spec import EncodedTestSet, OracleTests, TestSet
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset

COLUMNS = (
    *("task", "test", "n", "input", "input_digits", "output", "output_digits"),
    *("tolerance", "examples", "oracle", "low", "high"),
    *("label", "label_low", "label_high"),
)


def draw_test(question: EncodedTestSet) -> tuple[Tensor, Tensor]:
    """Draw matrices [B, r, c] and exact answers: those of the test set's file."""
    test = make_testset(TestSet(question.data, question.examples))
    return torch.from_numpy(test["matrix"]), torch.from_numpy(test["answer"])


def relative_errors(question: EncodedTestSet) -> dict[str, Tensor]:
    """Give the relative errors [B] of both exact answers."""
    codecs, task = Codecs(question), question.data.task
    matrix, answer = draw_test(question)
    seen, label = codecs.round_trip(matrix, answer)
    # As `Codecs.oracle` has it; to round everything once takes half the time.
    answers = {
        "oracle": codecs.target.round_trip(TASKS[task].solve(seen)),
        "label": label,
    }
    return {
        who: relative_error(task, seen, label, made) for who, made in answers.items()
    }


def table(spec: OracleTests) -> Iterator[dict[str, Any]]:
    """Score every question: a row per tolerance, shares between 0 and 1."""
    for question in spec.tests:
        error, name = relative_errors(question), _name(question)
        for tolerance in spec.tolerances:
            yield {**name, "tolerance": tolerance, **_shares(error, tolerance)}


def _name(question: EncodedTestSet) -> dict[str, Any]:
    data = question.data
    return {
        **{"task": data.task, "test": data.distribution, "n": data.n},
        **{"input": question.input.encoding, "input_digits": question.input.digits},
        **{"output": question.output.encoding, "output_digits": question.output.digits},
        "examples": question.examples,
    }


def _shares(errors: dict[str, Tensor], tolerance: float) -> dict[str, float]:
    """Give the share of each answer within a tolerance, with its Wilson interval."""
    row: dict[str, float] = {}
    for who, error in errors.items():
        correct, prefix = int((error < tolerance).sum()), "label_" * (who == "label")
        low, high = wilson(correct, len(error))
        row |= {who: correct / len(error), f"{prefix}low": low, f"{prefix}high": high}
    return row
