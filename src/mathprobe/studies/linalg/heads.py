"""Heads and MLPs on which a model's answers depend, and its cross-attention.

Q: matrices, S: source tokens, T: target tokens, K: numbers of the answer, G: groups of
source tokens, H: heads.

A group of source tokens belongs to one coefficient of the matrix (`1,2`), to those on
or off its diagonal, or to no coefficient (`other`: dimensions and ends).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, product
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from mathprobe.interp.ablation import ABLATIONS, ablation_values
from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import node_patch
from mathprobe.interp.seq2seq import Seq2SeqRun
from mathprobe.intervals import wilson
from mathprobe.linalg.codec import END
from mathprobe.linalg.scores import is_below, relative_error
from mathprobe.nets.hooks import hook_names
from mathprobe.nets.seq2seq import Seq2Seq
from mathprobe.seeds import rng_for
from mathprobe.spec import Model
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.models import build

MATRICES = 250  # the first of a test set; 95 % intervals of at most 6.2 points
EVERYTHING = "everything"  # all heads and MLPs
MEMORY = "encoder output"
ITSELF = "itself"  # control: each activation is replaced by its own value
ALL, OTHER = "all", "other"  # source tokens
COLUMNS = {
    "ablations": (
        *("seed", "component", "tokens", "ablation"),
        *("right", "wrong", "value", "low", "high"),
    ),
    "attention": (
        *("seed", "network", "component", "answer", "tokens"),
        *("value", "low", "high"),
    ),
}
Row = dict[str, Any]
Judge = Callable[[Tensor], Tensor]  # from answers [Q, T - 1] to a mask [Q]
Groups = Mapping[str, Tensor]  # masks [Q, S] of source tokens, by name


def tables(
    spec: Model,
    networks: Mapping[int, Seq2Seq],
    test: Mapping[str, np.ndarray],
    tolerance: float,
) -> dict[str, list[Row]]:
    """Return the rows of the tables `ablations` and `attention`, for all seeds.

    `networks` maps seeds to networks, `test` is a test set, and an answer is right if
    its relative error is below `tolerance`.
    """
    codecs, place = Codecs(spec), next(networks[1].parameters()).device
    matrix, answer = (
        torch.from_numpy(test[name][:MATRICES]) for name in ("matrix", "answer")
    )
    source, target = codecs.source.encode(matrix), codecs.target.encode(answer)
    groups = {k: v.to(place) for k, v in token_groups(codecs, source).items()}
    numbers = codecs.target.number_index(target).to(place)
    source, target = source.to(place), target.to(place)
    judge = _judge(spec, *codecs.round_trip(matrix, answer), tolerance)
    rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    for seed, network in networks.items():
        run = Seq2SeqRun.greedy(network, source, END, target.shape[1])
        rng = rng_for(STUDY, "ablation", seed)
        rows["ablations"] += [
            {"seed": seed, **row} for row in ablations(run, judge, groups, rng)
        ]
        both = {"trained": network, "untrained": build(spec, seed).to(place)}
        rows["attention"] += [
            {"seed": seed, "network": name, **row}
            for name, one in both.items()
            for row in attention(Seq2SeqRun(one, source, target), groups, numbers)
        ]
    return rows


def token_groups(codecs: Codecs, source: Tensor) -> dict[str, Tensor]:
    """Return the groups of tokens of encoded matrices [Q, S]."""
    number = codecs.source.number_index(source)
    rows, columns = (range(size) for size in codecs.input_shape)
    coefficient = {
        f"{i + 1},{j + 1}": number == i * len(columns) + j
        for i, j in product(rows, columns)
    }
    row, column = number // len(columns), number % len(columns)
    return {
        **coefficient,
        "diagonal": (number >= 0) & (row == column),
        "off-diagonal": (number >= 0) & (row != column),
        OTHER: number < 0,
    }


def _judge(spec: Model, matrix: Tensor, answer: Tensor, tolerance: float) -> Judge:
    """Return a function that decodes and scores answers to rounded matrices."""
    codecs, task = Codecs(spec), spec.data.task
    verdicts = spec.zero_answers, spec.exact_answers

    def is_right(ids: Tensor) -> Tensor:
        start = torch.full_like(ids[:, :1], END)
        tokens = torch.cat([start, ids], 1).cpu()
        values, _ = codecs.target.decode(tokens, *codecs.output_shape)
        error = relative_error(task, matrix, answer, values, *verdicts)
        return is_below(error, tolerance)

    return is_right


def ablations(
    run: Seq2SeqRun, judge: Judge, groups: Groups, rng: Generator
) -> Iterator[Row]:
    """Yield how many right answers become wrong when a component is ablated.

    A component is a head or an MLP at all positions.  The output of the encoder is also
    replaced by that for another matrix, at the positions of each group of tokens.  The
    patched network decodes its own answers.
    """
    right = judge(run.unpatched_answers)

    def row(
        component: str,
        tokens: str,
        ablation: str,
        values: Mapping[str, Tensor],
        nodes: Sequence[Node],
    ) -> Row:
        patches = [node_patch(node, values) for node in nodes]
        (answers,) = run.answers([patches], teacher_forced=False)
        names = {"component": component, "tokens": tokens, "ablation": ablation}
        return {**names, **_wrong(right, judge(answers))}

    components = {**_components(run), EVERYTHING: run.nodes}
    memory = [node for node in run.residual_nodes if node.kind == "encoder residual"]
    memory = [node for node in memory if node.layer == memory[-1].layer]
    hook = memory[0].hook_name
    values = {name: ablation_values(run, name, rng) for name in ABLATIONS}
    own = run.activations(hook, *dict.fromkeys(node.hook_name for node in run.nodes))
    yield row(EVERYTHING, ALL, ITSELF, own, run.nodes)
    for ablation, (component, nodes) in product(ABLATIONS, components.items()):
        yield row(component, ALL, ablation, values[ablation], nodes)
    other = values["resample"][hook]
    for tokens, mask in {ALL: torch.ones_like(groups[OTHER]), **groups}.items():
        mixed = {hook: torch.where(mask[..., None], other, own[hook])}
        yield row(MEMORY, tokens, "resample", mixed, memory)


def _components(run: Seq2SeqRun) -> dict[str, list[Node]]:
    """Return the nodes of each head and MLP, from the first layer to the last."""
    hooks = hook_names(run.model)
    order = sorted(
        run.nodes, key=lambda node: (hooks.index(node.hook_name), node.index)
    )
    return {
        name: [*nodes] for name, nodes in groupby(order, lambda node: node.component)
    }


def _wrong(before: Tensor, after: Tensor) -> Row:
    """Count the right answers [Q] that have become wrong; their share is `value`."""
    right, wrong = int(before.sum()), int((before & ~after).sum())
    if not right:
        return {"right": 0, "wrong": 0}
    low, high = wilson(wrong, right)
    counts = {"right": right, "wrong": wrong, "value": wrong / right}
    return {**counts, "low": low, "high": high}


def attention(run: Seq2SeqRun, groups: Groups, numbers: Tensor) -> Iterator[Row]:
    """Yield the cross-attention to each group of tokens, averaged over matrices.

    The queries are those that predict the tokens of one number of the answer; `numbers`
    [Q, T] is the number of each token, -1 for others.  Each pair of a head and a number
    has a total of 1 over all coefficients and `other`.
    """
    predicted = one_hot(numbers[:, 1:] + 1)[..., 1:].double()  # [Q, T - 1, K]
    predicted /= predicted.sum(1, keepdim=True)
    tokens = torch.stack([*groups.values()], -1).double()  # [Q, S, G]
    for layer in range(len(run.model.decoder)):
        hook = f"decoder.{layer}.cross_attn.hook_pattern"
        pattern = run.activations(hook)[hook].double()  # [Q, H, T - 1, S]
        weights = torch.einsum("qhts,qtk,qsg->qhkg", pattern, predicted, tokens).cpu()
        means = weights.mean(0)
        halves = 1.96 * weights.std(0) / sqrt(len(weights))
        for head, number, group in product(*map(range, means.shape)):
            index = head, number, group
            value, half = float(means[index]), float(halves[index])
            yield {
                "component": Node(0, layer, "cross head", head).component,
                "answer": number + 1,
                "tokens": [*groups][group],
                **{"value": value, "low": value - half, "high": value + half},
            }
