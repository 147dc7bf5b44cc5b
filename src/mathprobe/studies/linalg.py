"""Charton 2022: transformers that learn linear algebra.

Here matrices meet networks: data for the training loop, predictions of a trained
model, and the samples that need no model.  B: batch, n: size, [r, c]: answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from msgspec import structs
from torch import Tensor

from mathprobe.decoding import greedy
from mathprobe.energy import device_joules
from mathprobe.intervals import quantile_ranks
from mathprobe.learner import BATCHES_PER_BLOCK, Descent, Learner
from mathprobe.linalg import draws, scores
from mathprobe.linalg.codec import END, PADDING, MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.properties import PROPERTIES
from mathprobe.linalg.scores import ORACLE
from mathprobe.linalg.tasks import TASKS
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.nets.seq2seq import Seq2Seq, Vocabulary
from mathprobe.objectives import Translation
from mathprobe.seeds import seed, stream
from mathprobe.spec import (
    Conditions,
    EncodedTest,
    EncodingSpec,
    MatrixSpec,
    Model,
    TestSet,
)
from mathprobe.team import ALONE, Team
from mathprobe.training import Trainer

STUDY = "linalg"
QUANTILES = (0.5, 0.75, 0.9)


def draw(data: MatrixSpec, rng: torch.Generator, count: int) -> draws.Examples:
    """Draw matrices [B, n, columns] and exact answers [B, r, c]; count rejections."""
    size = data.n, data.columns
    return draws.draw(data.task, data.law, data.law_settings, rng, count, *size)


def _stream(
    use: str, data: MatrixSpec, *names: int, device: str = "cpu"
) -> torch.Generator:
    """Open the stream of a use of these matrices."""
    # A square has one number, as it had before there were other shapes.
    size = dict.fromkeys((data.n, data.columns))
    return stream(STUDY, use, data.task, data.law, *size, *names, device=device)


def make_testset(spec: TestSet) -> dict[str, np.ndarray]:
    """Make a test set; it depends on nothing but what it tests."""
    matrix, answer, rejected = draw(
        spec.data, _stream("test", spec.data), spec.examples
    )
    return {
        "matrix": matrix.numpy(),
        "answer": answer.numpy(),
        "rejected": np.array(rejected),
    }


def curve_sets(spec: Model) -> dict[str, tuple[Tensor, Tensor]]:
    """Draw what a learning curve is measured on: the same for every model of a task.

    These are not the test sets, so a curve may be looked at without touching them.
    """
    shown = {}
    for law in spec.curve.tests:
        settings = spec.curve.law_settings
        data = structs.replace(spec.data, law=law, law_settings=settings)
        examples = draw(data, _stream("curve", data), spec.curve.examples)
        shown[law] = examples.matrix, examples.answer
    return shown


@dataclass(frozen=True)
class Codecs:
    """How a model reads matrices and writes answers, or how a question does."""

    model: Model | EncodedTest

    @cached_property
    def source(self) -> MatrixCodec:
        """Give the codec of the input."""
        return _codec(self.model.input)

    @cached_property
    def target(self) -> MatrixCodec:
        """Give the codec of the output."""
        return _codec(self.model.output)

    @property
    def shape(self) -> tuple[int, int]:
        """Give the answer's rows and columns."""
        data = self.model.data
        return TASKS[data.task].shape(data.n, data.columns)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Give the rows and columns of what is read."""
        data = self.model.data
        return TASKS[data.task].input_shape(data.n, data.columns)

    def build(self, number: int) -> Seq2Seq:
        """Build the network of a seed, counted from 1, with its initial weights."""
        model = self.model
        with torch.random.fork_rng():
            torch.manual_seed(seed(STUDY, "weights", number))
            return Seq2Seq(
                _vocabulary(self.source, self.input_shape),
                _vocabulary(self.target, self.shape),
                model.encoder,
                model.decoder,
                model.query,
            )

    def predict(self, network: Seq2Seq, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Ask a network: answers [B, r, c], and which of them are well formed."""
        device = next(network.parameters()).device
        source = self.source.encode(matrix.to(device))
        ids = greedy(network, source, END, self.target.length(*self.shape))
        values, ok = self.target.decode(ids, *self.shape)
        return values.cpu(), ok.cpu()


def _codec(side: EncodingSpec) -> MatrixCodec:
    return MatrixCodec(ENCODINGS[side.encoding](digits=side.digits))


def _vocabulary(codec: MatrixCodec, shape: tuple[int, int]) -> Vocabulary:
    return Vocabulary(
        len(codec.vocabulary), codec.length(*shape), PADDING, codec.ragged
    )


def judge(codecs: Codecs, matrix: Tensor, answer: Tensor, prediction: Tensor) -> Tensor:
    """Give relative errors [B], everything seen as the tokens show it."""
    return scores.relative_error(
        codecs.model.data.task,
        codecs.source.rounded(matrix),
        codecs.target.rounded(answer),
        prediction,
    )


def oracle(codecs: Codecs, matrix: Tensor) -> Tensor:
    """Answer exactly what the tokens of the input say, rounded as the output is."""
    seen = codecs.source.rounded(matrix)
    return codecs.target.rounded(TASKS[codecs.model.data.task].solve(seen))


def networks(spec: Model) -> dict[int, Seq2Seq]:
    """Build the networks of all seeds."""
    codecs = Codecs(spec)
    return {number: codecs.build(number) for number in range(1, spec.seeds + 1)}


def trainer(spec: Model, device: str, team: Team = ALONE) -> Trainer:
    """Prepare a training; its data come from its specification alone."""
    codecs, shown = Codecs(spec), curve_sets(spec)

    def measure(network: Seq2Seq) -> list[dict[str, Any]]:
        return [
            {"test": law, **_curve_point(codecs, network, *test)}
            for law, test in shown.items()
        ]

    learners = {
        number: Learner(
            network.to(device),
            partial(_block, codecs, device, number),
            spec.schedule,
            Translation(PADDING, spec.precision),
            Descent(spec.schedule.clip_norm),
            team,
        )
        for number, network in networks(spec).items()
    }
    return Trainer(learners, spec, measure, team, partial(device_joules, device))


def _block(
    codecs: Codecs, device: str, number: int, block: int
) -> tuple[Tensor, Tensor]:
    """Draw a block of the training data of a seed: ids [N, S], [N, T]."""
    data, count = codecs.model.data, BATCHES_PER_BLOCK * codecs.model.schedule.batch
    rng = _stream("train", data, number, block, device=device)
    matrix, answer, _ = draw(data, rng, count)
    return codecs.source.encode(matrix), codecs.target.encode(answer)


def _curve_point(
    codecs: Codecs, network: Seq2Seq, matrix: Tensor, answer: Tensor
) -> dict[str, Any]:
    prediction, ok = codecs.predict(network, matrix)
    error = judge(codecs, matrix, answer, prediction)
    return {
        "accuracy": float((error < codecs.model.curve.tolerance).double().mean()),
        "malformed": float((~ok).double().mean()),
    }


def predictions(
    spec: Model,
    seeds: dict[int, Seq2Seq],
    tests: dict[str, dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Have every seed, and the oracle, answer every test set: [seeds, B, r, c]."""
    codecs = Codecs(spec)
    arrays = {}
    for law, test in tests.items():
        matrix = torch.from_numpy(test["matrix"])
        made = [codecs.predict(network, matrix)[0] for network in seeds.values()]
        arrays[f"{law}.prediction"] = torch.stack(made).numpy()
        arrays[f"{law}.oracle"] = oracle(codecs, matrix).numpy()
    return arrays


def examples(
    spec: Model,
    tests: dict[str, dict[str, np.ndarray]],
    answers: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Measure stored predictions, example by example: errors [seeds, B], oracle's [B].

    Where the task has properties they stand beside the errors, named by test law and
    quantity, the oracle's with a prefix; everything is measured as the tokens show it.
    """
    codecs = Codecs(spec)
    arrays = {}
    for law, test in tests.items():
        matrix, answer = (torch.from_numpy(test[k]) for k in ("matrix", "answer"))
        best = torch.from_numpy(answers[f"{law}.oracle"])
        for name, values in _measured(codecs, matrix, answer, best).items():
            arrays[f"{law}.{ORACLE}_{name}"] = values.numpy()
        made = torch.from_numpy(answers[f"{law}.prediction"])
        rows = [_measured(codecs, matrix, answer, one) for one in made]
        for name in rows[0]:
            arrays[f"{law}.{name}"] = torch.stack([row[name] for row in rows]).numpy()
    return arrays


def _measured(
    codecs: Codecs, matrix: Tensor, answer: Tensor, prediction: Tensor
) -> dict[str, Tensor]:
    task = codecs.model.data.task
    quantities = {"error": judge(codecs, matrix, answer, prediction)}
    if task in PROPERTIES:
        shown = codecs.source.rounded(matrix), codecs.target.rounded(answer)
        quantities |= PROPERTIES[task](*shown, prediction)
        for name in VERIFIERS.keys() & quantities.keys():
            verifier = VERIFIERS[name]
            quantities[name] = verifier.quantity(shown[0], prediction)
    return quantities


def score(
    measured: dict[str, np.ndarray], tolerances: list[float]
) -> Iterator[dict[str, Any]]:
    """Score measured predictions: a row per test set, seed and tolerance."""
    for law, quantities in by_law(measured).items():
        for number, error in enumerate(quantities["error"], 1):
            name = {"seed": number, "test": law}
            yield from scores.table(name, error, quantities["oracle_error"], tolerances)


def by_law(measured: dict[str, np.ndarray]) -> dict[str, dict[str, Tensor]]:
    """Part measured examples by test law, then by quantity: [seeds, B] or [B]."""
    laws: dict[str, dict[str, Tensor]] = {}
    for name, array in measured.items():
        law, quantity = name.rsplit(".", 1)
        laws.setdefault(law, {})[quantity] = torch.from_numpy(array)
    return laws


def _floats(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def condition_numbers(spec: Conditions) -> list[dict[str, Any]]:
    """Give quantiles of the condition numbers of every law, with 95 % intervals.

    Matrices are drawn as the symmetric-inverse task draws them (Charton 2022, table 4).
    """
    rows = []
    for law in draws.laws_for("symmetric_inverse"):
        condition, rejected = conditions(spec, law)
        facts = {"law": law, "n": spec.n, "matrices": spec.matrices}
        facts |= {"rejected": rejected}
        for quantile in QUANTILES:
            low, high = quantile_ranks(quantile, spec.matrices)
            shown = {"value": condition.quantile(quantile)}
            shown |= {"low": condition[low], "high": condition[high]}
            rows.append({**facts, "quantile": quantile} | _floats(shown))
    return rows


def conditions(spec: Conditions, law: str) -> tuple[Tensor, int]:
    """Give condition numbers [matrices] of a law, sorted, and how many were redrawn."""
    rng = stream(STUDY, "conditions", law, spec.n)
    data = MatrixSpec("symmetric_inverse", law, spec.n, spec.n, spec.law_settings)
    matrix, _, rejected = draw(data, rng, spec.matrices)
    size = torch.linalg.eigvalsh(matrix).abs()
    return (size.amax(1) / size.amin(1)).sort().values, rejected
