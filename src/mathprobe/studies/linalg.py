"""Charton 2022: transformers that learn linear algebra.

Here matrices meet networks: data for the training loop, predictions of a trained
model, and the samples that need no model.  B: batch, n: size, [r, c]: answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathprobe.decoding import greedy
from mathprobe.learner import BATCHES_PER_BLOCK, Learner
from mathprobe.linalg import scores
from mathprobe.linalg.codec import END, PADDING, MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.laws import LAWS, base_of
from mathprobe.linalg.tasks import TASKS
from mathprobe.nets.seq2seq import Seq2Seq, Vocabulary
from mathprobe.seeds import seed, stream
from mathprobe.spec import Conditions, Draw, Model, Side, TestSet
from mathprobe.team import ALONE, Team
from mathprobe.training import Trainer

STUDY = "linalg"
Settings = dict[str, float | str]
INVERTIBLE = 1e-10  # largest |M M^-1 - I| that the symmetric-inverse task accepts
QUANTILES = (0.5, 0.75, 0.9)


def draw(data: Draw, rng: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Draw matrices [B, n, n] and their exact answers [B, r, c]."""
    matrix = matrices(data.law, data.law_settings, rng, count, data.n)
    return matrix, TASKS[data.task].solve(matrix)


def matrices(
    law: str, settings: Settings, rng: torch.Generator, count: int, n: int
) -> Tensor:
    """Draw matrices [B, n, n] of a law whose settings may differ from the paper's."""
    return LAWS[law](rng, count, n, replace(base_of(law), **settings))


def make_testset(spec: TestSet) -> dict[str, np.ndarray]:
    """Make a test set; it depends on nothing but what it tests."""
    data = spec.data
    rng = stream(STUDY, "test", data.task, data.law, data.n)
    matrix, answer = draw(data, rng, spec.examples)
    return {"matrix": matrix.numpy(), "answer": answer.numpy()}


def curve_sets(spec: Model) -> dict[str, tuple[Tensor, Tensor]]:
    """Draw what a learning curve is measured on: the same for every model of a task.

    These are not the test sets, so a curve may be looked at without touching them.
    """
    task, n, curve = spec.data.task, spec.data.n, spec.curve
    return {
        law: draw(
            Draw(task, law, n, curve.law_settings[law]),
            stream(STUDY, "curve", task, law, n),
            curve.examples,
        )
        for law in curve.tests
    }


@dataclass(frozen=True)
class Codecs:
    """How a model reads matrices and writes answers."""

    model: Model

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
        return TASKS[self.model.data.task].shape(self.model.data.n)

    def build(self, number: int) -> Seq2Seq:
        """Build the network of a seed, counted from 1, with its initial weights."""
        model, n = self.model, self.model.data.n
        with torch.random.fork_rng():
            torch.manual_seed(seed(STUDY, "weights", number))
            return Seq2Seq(
                _vocabulary(self.source, (n, n)),
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


def _codec(side: Side) -> MatrixCodec:
    return MatrixCodec(ENCODINGS[side.encoding](digits=side.digits))


def _vocabulary(codec: MatrixCodec, shape: tuple[int, int]) -> Vocabulary:
    return Vocabulary(
        len(codec.vocabulary), codec.length(*shape), PADDING, codec.ragged
    )


def _rounded(codec: MatrixCodec, matrix: Tensor) -> Tensor:
    return codec.decode(codec.encode(matrix), *matrix.shape[1:])[0]


def judge(codecs: Codecs, matrix: Tensor, answer: Tensor, prediction: Tensor) -> Tensor:
    """Give relative errors [B], everything seen as the tokens show it."""
    return scores.relative_error(
        codecs.model.data.task,
        _rounded(codecs.source, matrix),
        _rounded(codecs.target, answer),
        prediction,
    )


def oracle(codecs: Codecs, matrix: Tensor) -> Tensor:
    """Answer exactly what the tokens of the input say, rounded as the output is."""
    seen = _rounded(codecs.source, matrix)
    return _rounded(codecs.target, TASKS[codecs.model.data.task].solve(seen))


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
            spec.precision,
            PADDING,
            team,
        )
        for number, network in networks(spec).items()
    }
    return Trainer(learners, spec, measure, team)


def _block(
    codecs: Codecs, device: str, number: int, block: int
) -> tuple[Tensor, Tensor]:
    """Draw a block of the training data of a seed: ids [N, S], [N, T]."""
    data, count = codecs.model.data, BATCHES_PER_BLOCK * codecs.model.schedule.batch
    name = (STUDY, "train", data.task, data.law, data.n, number, block)
    matrix, answer = draw(data, stream(*name, device=device), count)
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


def score(
    spec: Model,
    tests: dict[str, dict[str, np.ndarray]],
    answers: dict[str, np.ndarray],
    tolerances: list[float],
) -> list[dict[str, Any]]:
    """Score stored predictions: a row per seed, test set and tolerance."""
    codecs = Codecs(spec)
    rows: list[dict[str, Any]] = []
    for law, test in tests.items():
        matrix, answer = (torch.from_numpy(test[k]) for k in ("matrix", "answer"))
        best = torch.from_numpy(answers[f"{law}.oracle"])
        ceiling = judge(codecs, matrix, answer, best)
        for number, made in enumerate(answers[f"{law}.prediction"], 1):
            name = {"seed": number, "test": law}
            error = judge(codecs, matrix, answer, torch.from_numpy(made))
            rows += scores.table(name, error, ceiling, tolerances)
    return rows


def _invertible(
    law: str, settings: Settings, rng: torch.Generator, n: int, count: int
) -> tuple[Tensor, int]:
    """Draw matrices until `count` are numerically invertible; say how many were not."""
    kept, rejected = torch.empty((0, n, n), dtype=torch.float64), 0
    while len(kept) < count:
        matrix = matrices(law, settings, rng, count, n)
        inverse, info = torch.linalg.inv_ex(matrix)
        off = (matrix @ inverse - torch.eye(n, dtype=torch.float64)).abs().amax((1, 2))
        good = (off <= INVERTIBLE) & (info == 0)
        kept, rejected = torch.cat([kept, matrix[good]]), rejected + int((~good).sum())
    return kept[:count], rejected


def _floats(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def condition_numbers(spec: Conditions) -> list[dict[str, Any]]:
    """Give quantiles of the condition numbers of every law, with 95 % intervals.

    Matrices are drawn as the symmetric-inverse task draws them (Charton 2022, table 4).
    """
    rows = []
    for law in LAWS:
        rng = stream(STUDY, "conditions", law, spec.n)
        settings = spec.law_settings.get(law, {})
        matrix, rejected = _invertible(law, settings, rng, spec.n, spec.matrices)
        size = torch.linalg.eigvalsh(matrix).abs()
        condition = (size.amax(1) / size.amin(1)).sort().values
        facts = {"law": law, "n": spec.n, "matrices": spec.matrices}
        facts |= {"rejected": rejected}
        for quantile in QUANTILES:
            low, high = scores.quantile_ranks(quantile, spec.matrices)
            shown = {"value": condition.quantile(quantile)}
            shown |= {"low": condition[low], "high": condition[high]}
            rows.append({**facts, "quantile": quantile} | _floats(shown))
    return rows
