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

from mathprobe.arith import samples
from mathprobe.arith.difficulty import CLASSES
from mathprobe.arith.subtasks import SUBTASKS, SubTask
from mathprobe.arith.tokens import Layout
from mathprobe.interp import ablate, pca
from mathprobe.interp.attention import attention
from mathprobe.interp.edits import Run
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, MLP, Node
from mathprobe.interp.search import Exchange, Nodes, Rate, pairs, search
from mathprobe.intervals import clopper_pearson
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import stream
from mathprobe.spec import ArithModel, CircuitSearch
from mathprobe.studies.arith import STUDY
from mathprobe.studies.findings import ATTENDS, FAILS, IMPACT, TRI_STATE, token_fact

POSITION_COLUMNS = ("position", "token", "questions", "fails", "value", "low", "high")


@dataclass(frozen=True)
class Trial:
    """A sub-task of a column, and the sets of nodes that are tried."""

    task: SubTask
    k: int | None
    exchange: Exchange
    single: list[Node]
    paired: list[Nodes]

    def rates(self) -> dict[Nodes, Rate]:
        """Exchange what the nodes say."""
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

    def stream(self, *use: str | int) -> Generator:
        """Open the stream of a use: the same for all models of these digits."""
        return stream(STUDY, "circuit", self.digits, *use)

    def run(self, ids: Tensor) -> Run:
        """Have the model answer questions [Q, T]."""
        device = next(self.model.parameters()).device
        return Run.of(self.model, ids.to(device), self.layout.answer_length)

    @cached_property
    def sample(self) -> tuple[Run, Tensor]:
        """Draw questions, keep those that are answered right, and give their classes.

        Where none is, nothing is found: the map is empty.
        """
        enrichment, count = self.spec.questions.enrichment, self.settings.per_class
        drawn = [
            samples.varied(
                self.stream("varied", name), name, self.digits, enrichment, count
            )
            for name in self.operations
        ]
        level = [
            samples.levels(name, self.digits, ids)
            for name, ids in zip(self.operations, drawn, strict=True)
        ]
        ids = torch.cat(drawn)
        run = self.run(ids)
        right = self.right(run, ids)
        return run.only(right.to(run.ids.device)), torch.cat(level)[right]

    def right(self, run: Run, ids: Tensor) -> Tensor:
        """Tell which questions [Q, T] are answered as they should be [Q]."""
        return (run.expected.cpu() == self.layout.split(ids).answer).all(1)

    @cached_property
    def replacements(self) -> dict[str, Tensor]:
        """Give what stands for what nodes and positions say."""
        settings, (run, _) = self.settings, self.sample
        rng = self.stream("replacements", settings.ablation)
        return ablate.replacements(run, settings.ablation, rng, settings.first_layer)

    @cached_property
    def positions(self) -> list[dict[str, Any]]:
        """Tell how many questions fail without each position: a row each."""
        run, _ = self.sample
        fails = [0] * len(run.positions)
        if len(run.ids):
            changed = ablate.without_positions(run, self.replacements, run.positions)
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
    def useful(self) -> Facts:
        """Tell what fails without nodes: of those without which something does."""
        run, level = self.sample
        places = {row["position"] for row in self.positions if row["fails"]}
        nodes = [node for node in run.nodes if node.position in places]
        if not nodes:
            return Facts()
        changed = ablate.without_nodes(run, self.replacements, nodes).cpu()
        return Facts(
            fact
            for node, tokens in zip(nodes, changed, strict=True)
            if tokens.any()
            for fact in _ablated(node, tokens, level)
        )

    @property
    def heads(self) -> list[Node]:
        """List the useful heads."""
        return [node for node in self.useful.nodes if node.kind == HEAD]

    @cached_property
    def attended(self) -> Facts:
        """Tell which tokens the useful heads attend to."""
        run, _ = self.sample
        heads = self.heads
        if not heads:
            return Facts()
        shares = attention(run, heads).tolist()
        return Facts(
            Fact(node, *token_fact(ATTENDS, name), share)
            for node, row in zip(heads, shares, strict=True)
            for name, share in zip(self.layout.names, row, strict=False)
            if share >= self.settings.attends
        )

    @cached_property
    def panels(self) -> dict[tuple[Node, str, int], pca.Panel]:
        """Find heads whose components tell the three states of a column apart."""
        heads, found = self.heads, {}
        for name in self.operations if heads else ():
            for k in range(self.digits):
                names = "panels", name, k
                ids, case = samples.tri_states(
                    self.stream(*names), name, self.digits, k, self.settings.per_case
                )
                for node, values in zip(
                    heads, pca.written(self.run(ids), heads), strict=True
                ):
                    rng = self.stream(*names, node.name)
                    panel = pca.panel(values.cpu(), case, rng)
                    if panel.is_clear:
                        found[node, name, k] = panel
        return found

    @property
    def cases(self) -> np.ndarray:
        """Give the cases of the questions of a panel [Q]."""
        return samples.cases(self.settings.per_case).numpy()

    @cached_property
    def known(self) -> Facts:
        """Gather all that is known before sub-tasks are looked for."""
        components = (
            Fact(node, f"{TRI_STATE} {measure} {name}", k, value)
            for (node, name, k), panel in self.panels.items()
            for measure, value in panel.measures.items()
        )
        return Facts([*self.useful, *self.attended, *components])

    def candidates(self, task: SubTask, k: int | None) -> list[Node]:
        """List the nodes that may do a sub-task, alone or together with another."""
        places, impact = task.positions(self.layout), task.impacted(self.layout, k)
        needed = tuple(f"{FAILS} {letter}" for letter in task.classes)
        return [
            node
            for node in self.known.nodes
            if node.position in places
            and (not impact or self.known.has(node, *token_fact(IMPACT, impact)))
            and any(fact.name.startswith(needed) for fact in self.known.of(node))
        ]

    def sees(self, nodes: Nodes, task: SubTask, k: int | None) -> bool:
        """Return whether heads, together, attend to all that a sub-task needs."""
        least = self.settings.attends
        needed = [token_fact(ATTENDS, name) for name in task.sources(self.layout, k)]
        return all(
            any(self.known.has(node, *token, least) for node in nodes)
            for token in needed
        )

    def exchange(self, task: SubTask, k: int | None) -> Exchange:
        """Pose the pairs of a sub-task, of which both are answered right."""
        rng = self.stream("pairs", task.name, -1 if k is None else k)
        drawn = task.pairs(rng, self.digits, k, self.settings.pairs)
        clean, other = (self.run(ids) for ids in (drawn.clean, drawn.other))
        kept = self.right(clean, drawn.clean) & self.right(other, drawn.other)
        device = clean.ids.device
        return Exchange(
            clean.only(kept.to(device)),
            other.only(kept.to(device)),
            drawn.predicted[kept].to(device),
            drawn.claimed.to(device),
            task.whole,
            drawn.case[kept],
            int(drawn.case.max()) + 1,
        )

    def trials(self) -> Iterator[Trial]:
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
                        both = [n for n in pairs(may) if self.sees(n, task, k)]
                    if single or both:
                        yield Trial(task, k, self.exchange(task, k), single, both)

    @cached_property
    def searched(self) -> list[tuple[Trial, dict[Nodes, Rate]]]:
        """Try all nodes that may do a sub-task."""
        return [(trial, trial.rates()) for trial in self.trials()]

    @cached_property
    def facts(self) -> Facts:
        """Gather all that is known of the useful nodes."""
        told = (
            fact
            for trial, rates in self.searched
            for nodes, rate in rates.items()
            for fact in _told(trial, nodes, rate)
        )
        return Facts([*self.known, *told])


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


def _told(trial: Trial, nodes: Sequence[Node], rate: Rate) -> Iterator[Fact]:
    """Tell how often exchanging nodes exchanged a sub-task."""
    value = None if rate.value != rate.value else rate.value
    numbers = value, rate.low, rate.high
    for node in nodes:
        others = [other.index for other in nodes if other != node]
        yield Fact(node, trial.task.name, trial.k, *numbers, *others)
