"""Measures of answers, and effects of patches on them.

Q: questions, A: answer tokens, V: patched runs, Y: vocabulary.

Each measure is a `Metric` for `PatchableRun.measure`: a number per question and answer
token, with teacher forcing.  An effect has a 95 % interval, and a control: the same
patches with activations of another question.

Sources: denoising and noising, Heimersheim and Nanda 2024; normalised effect, Wang et
al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from mathprobe.errors import InputError
from mathprobe.interp.nodes import NodeSet
from mathprobe.interp.patches import Metric, Patches, node_patch
from mathprobe.interp.protocol import PatchableRun, Patching
from mathprobe.intervals import TAIL, clopper_pearson

RESAMPLES = 1000  # of the bootstrap


def answer_changed(answers: Tensor) -> Metric:
    """Return whether the most likely token differs from that of `answers` [Q, A]."""
    return Metric(lambda logits, answer: logits.argmax(-1) != answer, (answers,))


def logit_difference(answers: Tensor, others: Tensor) -> Metric:
    """Return the logit of each token of `answers` minus that of `others`, both [Q, A].

    Raises InputError if the shapes differ.
    """
    if answers.shape != others.shape:
        raise InputError(
            f"answers {list(answers.shape)} and others {list(others.shape)} must have "
            "the same shape [questions, answer tokens]"
        )
    return Metric(
        lambda logits, one, two: pick(logits, one) - pick(logits, two),
        (answers, others),
    )


def probability(answers: Tensor) -> Metric:
    """Return the probability of each token of `answers` [Q, A]."""
    return Metric(lambda logits, one: pick(logits.softmax(-1), one), (answers,))


def loss(answers: Tensor) -> Metric:
    """Return the cross-entropy of each token of `answers` [Q, A], in nats."""
    return Metric(
        lambda logits, one: functional.cross_entropy(
            logits.movedim(-1, 1), one, reduction="none"
        ),
        (answers,),
    )


def pick(values: Tensor, tokens: Tensor) -> Tensor:
    """Return the values [..., Y] of the given tokens [...]."""
    return values.gather(-1, tokens[..., None])[..., 0]


class Estimate(NamedTuple):
    """Values and the bounds of their 95 % intervals, each [V], on the CPU."""

    value: Tensor
    low: Tensor
    high: Tensor


def estimate(values: Tensor, rng: Generator, unit: Tensor | None = None) -> Estimate:
    """Return the means of values [V, Q] over questions.

    With `unit` [Q], they are in units of its mean.  Means of booleans are shares with
    exact (Clopper-Pearson) intervals; the others have percentile bootstrap intervals,
    over questions.  `rng` is on the CPU.
    """
    questions = values.shape[1]
    if values.dtype == torch.bool:
        rows = [
            (c / questions, *clopper_pearson(c, questions))
            for c in values.sum(1).tolist()
        ]
        return Estimate(*torch.tensor(rows, dtype=torch.float64).reshape(-1, 3).T)
    values = values.cpu().double()
    unit = torch.ones(questions).double() if unit is None else unit.cpu().double()
    drawn = torch.randint(questions, (RESAMPLES, questions), generator=rng)
    weights = torch.zeros(RESAMPLES, questions, dtype=torch.float64)
    weights.scatter_add_(1, drawn, torch.ones_like(weights))
    means = (weights @ values.T) / (weights @ unit)[:, None]  # [RESAMPLES, V]
    bounds = torch.tensor([TAIL, 1.0 - TAIL], dtype=torch.float64)
    return Estimate(values.mean(1) / unit.mean(), *means.quantile(bounds, dim=0))


def patch_nodes(node_sets: Sequence[NodeSet]) -> Patching:
    """Return the patching of sets of nodes, each in its own run."""

    def patching(base: PatchableRun, source: PatchableRun) -> list[Patches]:
        hooks = dict.fromkeys(node.hook_name for nodes in node_sets for node in nodes)
        values = source.activations(*hooks)
        return [[node_patch(node, values) for node in nodes] for nodes in node_sets]

    return patching


class Effects(NamedTuple):
    """Effects of patches, and of the same patches from another question."""

    effect: Estimate
    control: Estimate


def effects(
    base: PatchableRun,
    source: PatchableRun,
    patching: Patching,
    metric: Metric,
    rng: Generator,
    tokens: slice = slice(None),
) -> Effects:
    """Return the normalised effects of activations of the source run in the base run.

    The effect is (patched - base) / (source - base), where each term is the mean of the
    metric over questions and over the answer tokens `tokens`: 0 means no effect, 1 that
    the patched run is as the source run.  It may be negative or greater than 1.

    Parameters
    ----------
    base, source
        Runs on pairs of questions, in the same order.  Denoising has a corrupted base
        and a clean source, noising a clean base and a corrupted source.
    patching
        Returns the patched runs: `patch_nodes(sets)` or `residual.patch_paths(paths)`.
    metric
        Its tokens belong to the pairs, so that it applies to both runs.
    rng
        CPU generator for the bootstrap and for the questions of the control.
    tokens
        Answer tokens to average over.

    Raises
    ------
    InputError
        If there are fewer than 2 pairs, or the metric has the same mean in both runs.
    """
    pairs = len(base.unpatched_answers)
    if pairs < 2:
        raise InputError(f"{pairs} pairs of questions: effects need at least 2")
    before, after = (_means(run, [[]], metric, tokens)[0] for run in (base, source))
    if after.mean() == before.mean():
        raise InputError(
            "the metric has the same mean in both runs, so that no effect is defined; "
            "choose pairs of questions with different answers"
        )
    shift = int(torch.randint(1, pairs, (), generator=rng))
    shuffled = source.select(torch.arange(pairs).roll(shift))
    patched = (
        _means(base, patching(base, one), metric, tokens) for one in (source, shuffled)
    )
    return Effects(*(estimate(one - before, rng, after - before) for one in patched))


def _means(
    run: PatchableRun, patched_runs: Sequence[Patches], metric: Metric, tokens: slice
) -> Tensor:
    """Return the mean of a metric over answer tokens [V, Q], on the CPU."""
    return run.measure(patched_runs, metric)[..., tokens].cpu().double().mean(-1)
