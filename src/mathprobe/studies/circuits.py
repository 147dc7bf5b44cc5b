"""Circuits of the second study: what every node of a model does.

Here sub-tasks meet the parts of networks.  Q: questions, A: answer tokens, n: digits.

The order is that of the published library: positions that matter, nodes that matter and
what fails without them, where heads look, components of three states, and the search
for sub-tasks among the nodes that remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Generator, Tensor

from mathprobe.arith import question_sets
from mathprobe.arith.complexity import CLASSES
from mathprobe.arith.subtasks import SUBTASKS, SubTask
from mathprobe.arith.tokens import Layout
from mathprobe.interp import ablation, pca
from mathprobe.interp.attention import mean_attention
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, MLP, Node
from mathprobe.interp.patching import Run
from mathprobe.interp.search import (
    InterchangeIntervention,
    NodeSet,
    Rate,
    head_pairs,
    search,
)
from mathprobe.intervals import clopper_pearson
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import rng_for
from mathprobe.spec import ArithModel, CircuitSearch
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith_facts import ATTENDS, FAILS, IMPACT, TRI_STATE, token_fact

POSITION_COLUMNS = ("position", "token", "questions", "fails", "value", "low", "high")


@dataclass(frozen=True)
class SubtaskSearch:
    """A sub-task of a column, and the sets of nodes that are tried."""

    task: SubTask
    k: int | None
    exchange: InterchangeIntervention
    single: list[Node]
    paired: list[NodeSet]

    def rates(self) -> dict[NodeSet, Rate]:
        """InterchangeIntervention what the nodes say."""
        return search(self.exchange, self.single, self.paired)


@dataclass(frozen=True)
class Circuit:
    """A model that is taken apart."""

    spec: ArithModel
    model: Decoder
    settings: CircuitSearch

    @property
    def digits(self) -> int:
        """Give the number of digits."""
        return self.spec.questions.digits

    @cached_property
    def layout(self) -> Layout:
        """Give the names of positions."""
        return Layout(self.digits)

    @property
    def operations(self) -> list[str]:
        """Name the operations that the model was trained on."""
        return list(self.spec.questions.shares)

    def rng_for(self, *use: str | int) -> Generator:
        """Open the stream of a use: the same for all models of these digits."""
        return rng_for(STUDY, "circuit", self.digits, *use)

    def run(self, ids: Tensor) -> Run:
        """Have the model answer questions [Q, T]."""
        device = next(self.model.parameters()).device
        return Run.greedy(self.model, ids.to(device), self.layout.answer_length)

    @cached_property
    def varied_questions(self) -> tuple[Run, Tensor]:
        """Draw questions, keep those that are answered right, and give their classes.

        Where none is, nothing is found: the map is empty.
        """
        enrichment, count = (
            self.spec.questions.enrichment,
            self.settings.questions_per_class,
        )
        drawn = [
            question_sets.varied_questions(
                self.rng_for("varied", name), name, self.digits, enrichment, count
            )
            for name in self.operations
        ]
        level = [
            question_sets.classify(name, self.digits, ids)
            for name, ids in zip(self.operations, drawn, strict=True)
        ]
        ids = torch.cat(drawn)
        run = self.run(ids)
        right = self.is_correct(run, ids)
        return run.select(right.to(run.ids.device)), torch.cat(level)[right]

    def is_correct(self, run: Run, ids: Tensor) -> Tensor:
        """Tell which questions [Q, T] are answered as they should be [Q]."""
        return (run.unpatched_answers.cpu() == self.layout.split(ids).answer).all(1)

    @cached_property
    def ablation_values(self) -> dict[str, Tensor]:
        """Give what stands for what nodes and positions say."""
        settings, (run, _) = self.settings, self.varied_questions
        rng = self.rng_for("replacements", settings.ablation)
        return ablation.ablation_values(
            run, settings.ablation, rng, settings.first_layer_means
        )

    @cached_property
    def positions(self) -> list[dict[str, Any]]:
        """Tell how many questions fail without each position: a row each."""
        run, _ = self.varied_questions
        fails = [0] * len(run.positions)
        if len(run.ids):
            changed = ablation.ablate_positions(
                run, self.ablation_values, run.positions
            )
            fails = changed.any(-1).sum(1).tolist()
        return [
            {
                "position": position,
                "token": self.layout.names[position],
                "questions": len(run.ids),
                "fails": count,
                **share(count, len(run.ids)),
            }
            for position, count in zip(run.positions, fails, strict=True)
        ]

    @cached_property
    def ablation_facts(self) -> Facts:
        """Tell what fails without nodes: of those without which something does."""
        run, level = self.varied_questions
        places = {row["position"] for row in self.positions if row["fails"]}
        nodes = [node for node in run.nodes if node.position in places]
        if not nodes:
            return Facts()
        changed = ablation.ablate_nodes(run, self.ablation_values, nodes).cpu()
        return Facts(
            fact
            for node, tokens in zip(nodes, changed, strict=True)
            if tokens.any()
            for fact in _ablated(node, tokens, level)
        )

    @property
    def useful_heads(self) -> list[Node]:
        """List the useful heads."""
        return [node for node in self.ablation_facts.nodes if node.kind == HEAD]

    @cached_property
    def attention_facts(self) -> Facts:
        """Tell which tokens the useful heads attend to."""
        run, _ = self.varied_questions
        heads = self.useful_heads
        if not heads:
            return Facts()
        shares = mean_attention(run, heads).tolist()
        return Facts(
            Fact(node, *token_fact(ATTENDS, name), share)
            for node, row in zip(heads, shares, strict=True)
            for name, share in zip(self.layout.names, row, strict=False)
            if share >= self.settings.min_attention
        )

    @cached_property
    def pca_results(self) -> dict[tuple[Node, str, int], pca.PCAResult]:
        """Find heads whose components tell the three states of a column apart."""
        heads, found = self.useful_heads, {}
        for name in self.operations if heads else ():
            for k in range(self.digits):
                names = "panels", name, k
                ids, case = question_sets.tri_state_questions(
                    self.rng_for(*names),
                    name,
                    self.digits,
                    k,
                    self.settings.questions_per_case,
                )
                for node, values in zip(
                    heads, pca.residual_contributions(self.run(ids), heads), strict=True
                ):
                    rng = self.rng_for(*names, node.name)
                    panel = pca.analyse(values.cpu(), case, rng)
                    if panel.passes_thresholds:
                        found[node, name, k] = panel
        return found

    @property
    def pca_cases(self) -> np.ndarray:
        """Give the cases of the questions of a panel [Q]."""
        return question_sets.cases(self.settings.questions_per_case).numpy()

    @cached_property
    def behavior_facts(self) -> Facts:
        """Gather all that is known before sub-tasks are looked for."""
        components = (
            Fact(node, f"{TRI_STATE} {measure} {name}", k, value)
            for (node, name, k), panel in self.pca_results.items()
            for measure, value in panel.metrics.items()
        )
        return Facts([*self.ablation_facts, *self.attention_facts, *components])

    def candidates(self, task: SubTask, k: int | None) -> list[Node]:
        """List the nodes that may do a sub-task, alone or together with another."""
        places, impact = task.positions(self.layout), task.impacted(self.layout, k)
        needed = tuple(f"{FAILS} {letter}" for letter in task.classes)
        return [
            node
            for node in self.behavior_facts.nodes
            if node.position in places
            and (
                not impact or self.behavior_facts.has(node, *token_fact(IMPACT, impact))
            )
            and any(
                fact.name.startswith(needed)
                for fact in self.behavior_facts.for_node(node)
            )
        ]

    def sees(self, nodes: NodeSet, task: SubTask, k: int | None) -> bool:
        """Return whether heads, together, attend to all that a sub-task needs."""
        least = self.settings.min_attention
        needed = [token_fact(ATTENDS, name) for name in task.sources(self.layout, k)]
        return all(
            any(self.behavior_facts.has(node, *token, least) for node in nodes)
            for token in needed
        )

    def exchange(self, task: SubTask, k: int | None) -> InterchangeIntervention:
        """Pose the pairs of a sub-task, of which both are answered right."""
        rng = self.rng_for("pairs", task.name, -1 if k is None else k)
        drawn = task.pairs(rng, self.digits, k, self.settings.pairs)
        clean, other = (self.run(ids) for ids in (drawn.clean, drawn.other))
        kept = self.is_correct(clean, drawn.clean) & self.is_correct(other, drawn.other)
        device = clean.ids.device
        return InterchangeIntervention(
            clean.select(kept.to(device)),
            other.select(kept.to(device)),
            drawn.predicted[kept].to(device),
            drawn.claimed.to(device),
            task.whole,
            drawn.case[kept],
            int(drawn.case.max()) + 1,
        )

    def searches(self) -> Iterator[SubtaskSearch]:
        """List the sub-tasks of all columns, with the nodes that may do them."""
        for task in SUBTASKS.values():
            if task.operations <= set(self.operations):
                for k in task.columns(self.digits):
                    may, both = self.candidates(task, k), []
                    # An MLP sees what heads wrote, whatever they attend to.
                    single = [
                        node
                        for node in may
                        if node.kind == MLP or self.sees((node,), task, k)
                    ]
                    if task.paired:
                        both = [n for n in head_pairs(may) if self.sees(n, task, k)]
                    if single or both:
                        yield SubtaskSearch(
                            task, k, self.exchange(task, k), single, both
                        )

    @cached_property
    def search_results(self) -> list[tuple[SubtaskSearch, dict[NodeSet, Rate]]]:
        """Try all nodes that may do a sub-task."""
        return [(trial, trial.rates()) for trial in self.searches()]

    @cached_property
    def facts(self) -> Facts:
        """Gather all that is known of the useful nodes."""
        told = (
            fact
            for trial, rates in self.search_results
            for nodes, rate in rates.items()
            for fact in _told(trial, nodes, rate)
        )
        return Facts([*self.behavior_facts, *told])


class Share(TypedDict):
    """A share and its 95 % interval."""

    value: float | None
    low: float
    high: float


def share(count: int, total: int) -> Share:
    """Give a share with its interval; of nothing, that nothing is known."""
    low, high = clopper_pearson(count, total) if total else (0.0, 1.0)
    return {"value": count / total if total else None, "low": low, "high": high}


def _ablated(node: Node, changed: Tensor, level: Tensor) -> Iterator[Fact]:
    """Tell what fails [Q, A] without a node: questions, digits, classes [Q]."""
    fails, total = changed.any(-1), len(changed)
    yield Fact(node, FAILS, None, **share(int(fails.sum()), total))
    highest = changed.shape[1] - 1
    for place, count in enumerate(changed.sum(0).tolist()):
        if count:
            yield Fact(node, IMPACT, highest - place, **share(count, total))
    asked, failed = (
        torch.bincount(level[chosen], minlength=len(CLASSES)).tolist()
        for chosen in (torch.ones_like(fails), fails)
    )
    for name, count, questions in zip(CLASSES, failed, asked, strict=True):
        if count:
            yield Fact(node, f"{FAILS} {name}", None, **share(count, questions))


def _told(trial: SubtaskSearch, nodes: Sequence[Node], rate: Rate) -> Iterator[Fact]:
    """Tell how often exchanging nodes exchanged a sub-task."""
    value = None if rate.value != rate.value else rate.value
    numbers = value, rate.low, rate.high
    for node in nodes:
        others = [other.index for other in nodes if other != node]
        yield Fact(node, trial.task.name, trial.k, *numbers, *others)
