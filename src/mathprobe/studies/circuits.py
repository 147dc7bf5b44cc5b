"""Circuit analysis of arithmetic models: facts about every useful node.

Q: questions, A: answer tokens, n: digits.

The stages follow the published library: useful positions; useful nodes, and the
failures when they are ablated; attention; PCA of three carry states; search for
sub-tasks.  A position or node is useful if some question fails when it is ablated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Generator, Tensor

from mathprobe.arith import question_sets
from mathprobe.arith.complexity import CLASSES
from mathprobe.arith.subtasks import SUBTASKS, SubTask
from mathprobe.arith.tokens import EQUALS, MINUS, Layout
from mathprobe.errors import InputError
from mathprobe.interp import ablation, pca
from mathprobe.interp.attention import mean_attention
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, MLP, Node, NodeSet
from mathprobe.interp.patching import Run
from mathprobe.interp.residual import residual_contributions
from mathprobe.interp.search import (
    InterchangeIntervention,
    Rate,
    head_pairs,
    mlp_sets,
    search,
)
from mathprobe.intervals import clopper_pearson
from mathprobe.nets.decoder import Decoder
from mathprobe.seeds import rng_for
from mathprobe.spec import CircuitSearch, Questions
from mathprobe.studies.arith import STUDY
from mathprobe.studies.arith_facts import (
    ATTENDS,
    FAILS,
    IMPACT,
    TRI_STATE,
    column_label,
)

TOGETHER: dict[str, Callable[[Iterable[Node]], list[NodeSet]]] = {
    "heads of a layer": head_pairs,
    "heads": partial(head_pairs, any_layers=True),
    "mlps": mlp_sets,
}
REPEATED = 4  # factor of the number of pairs, if a rate is undecided
POSITION_COLUMNS = ("position", "token", "questions", "fails", "value", "low", "high")


@dataclass(frozen=True)
class SubtaskSearch:
    """A sub-task of a column, and the nodes and sets of nodes to test."""

    task: SubTask
    k: int | None
    intervention: InterchangeIntervention
    repeat: Callable[[], InterchangeIntervention]  # on more and other pairs
    nodes: list[Node]
    sets: list[NodeSet]

    def rates(self) -> dict[NodeSet, Rate]:
        """Return the success rate of each node and set.

        Activations are not kept: those of all searches may not fit into memory.
        """
        repeat = cache(lambda: self.repeat().without_activations())
        once = self.intervention.without_activations()
        return search(once, repeat, self.nodes, self.sets)


@dataclass(frozen=True)
class Circuit:
    """The circuit analysis of a model; each stage is computed on first access.

    Only the digits, the operations and the enrichment of `questions` are used.  Raises
    InputError if the model has too few positions or tokens.
    """

    questions: Questions
    model: Decoder
    settings: CircuitSearch

    def __post_init__(self) -> None:
        """Check that the model can read questions and write answers."""
        positions, tokens = (
            table.num_embeddings for table in (self.model.positions, self.model.tokens)
        )
        if positions < self.layout.length - 1:
            raise InputError(
                f"the model has {positions} positions; questions of {self.digits} "
                f"digits need {self.layout.length - 1}"
            )
        outputs = self.model.unembed.out_features
        if tokens <= EQUALS or outputs <= MINUS:
            raise InputError(
                f"the model reads {tokens} tokens and writes {outputs}; questions have "
                f"the ids 0 to {EQUALS} (0-9, +, -, =), answers 0 to {MINUS}"
            )

    @property
    def digits(self) -> int:
        """Return the number of digits of the operands."""
        return self.questions.digits

    @cached_property
    def layout(self) -> Layout:
        """Return the token layout."""
        return Layout(self.digits)

    @property
    def operations(self) -> list[str]:
        """Return the operations of the questions."""
        return list(self.questions.shares)

    def rng_for(self, *use: str | int) -> Generator:
        """Return the generator for a use, the same for all models with these digits."""
        return rng_for(STUDY, "circuit", self.digits, *use)

    def run(self, ids: Tensor) -> Run:
        """Return the run of the model on questions [Q, T], with its own answers."""
        device = next(self.model.parameters()).device
        return Run.greedy(self.model, ids.to(device), self.layout.answer_length)

    @cached_property
    def varied_questions(self) -> tuple[Run, Tensor]:
        """Return a run on questions of all classes, and the classes [Q].

        Wrongly answered questions are removed.  If none remain, the map is empty.
        """
        drawn = [
            question_sets.varied_questions(
                self.rng_for("varied", name),
                name,
                self.digits,
                self.questions.enrichment,
                self.settings.questions_per_class,
            )
            for name in self.operations
        ]
        level = [
            question_sets.classify(name, self.digits, ids)
            for name, ids in zip(self.operations, drawn, strict=True)
        ]
        ids = torch.cat(drawn)
        run = self.run(ids)
        correct = self.is_correct(run, ids)
        return run.select(correct.to(run.ids.device)), torch.cat(level)[correct]

    def is_correct(self, run: Run, ids: Tensor) -> Tensor:
        """Return whether the run's answers equal those in ids [Q, T], bool [Q]."""
        return (run.unpatched_answers.cpu() == self.layout.split(ids).answer).all(1)

    @cached_property
    def ablation_values(self) -> dict[str, Tensor]:
        """Return the values that replace ablated activations, by hook point."""
        settings, (run, _) = self.settings, self.varied_questions
        rng = self.rng_for("replacements", settings.ablation)
        return ablation.ablation_values(
            run, settings.ablation, rng, settings.first_layer_means
        )

    @cached_property
    def positions(self) -> list[dict[str, Any]]:
        """Return the numbers of questions that fail when each position is ablated.

        Each position has a row of POSITION_COLUMNS.
        """
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
        """Return the failures when a node is ablated, for all useful nodes."""
        run, level = self.varied_questions
        useful = {row["position"] for row in self.positions if row["fails"]}
        nodes = [node for node in run.nodes if node.position in useful]
        if not nodes:
            return Facts()
        changed = ablation.ablate_nodes(run, self.ablation_values, nodes).cpu()
        return Facts(
            fact
            for node, tokens in zip(nodes, changed, strict=True)
            if tokens.any()
            for fact in _failure_facts(node, tokens, level)
        )

    @property
    def useful_heads(self) -> list[Node]:
        """Return the useful nodes that are heads."""
        return [node for node in self.ablation_facts.nodes if node.kind == HEAD]

    @cached_property
    def attention_facts(self) -> Facts:
        """Return the tokens to which useful heads attend, with their mean attention.

        Tokens with less than `min_attention` are omitted.
        """
        run, _ = self.varied_questions
        heads = self.useful_heads
        if not heads:
            return Facts()
        shares = mean_attention(run, heads).tolist()
        return Facts(
            Fact(node, ATTENDS, name, share)
            for node, row in zip(heads, shares, strict=True)
            for name, share in zip(self.layout.names, row, strict=False)
            if share >= self.settings.min_attention
        )

    @cached_property
    def pca_results(self) -> dict[tuple[Node, str, int], pca.PCAResult]:
        """Return the PCA of heads that separate the carry states of a column.

        Keys are node, operation and column.  Results below the thresholds are omitted.
        """
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
                outputs = residual_contributions(self.run(ids), heads).cpu()
                for node, values in zip(heads, outputs, strict=True):
                    rng = self.rng_for(*names, node.name)
                    result = pca.analyse(values, case, rng)
                    if result.passes_thresholds:
                        found[node, name, k] = result
        return found

    @property
    def pca_cases(self) -> np.ndarray:
        """Return the carry state of each question of `pca_results`, from 0 [Q]."""
        return question_sets.case_labels(self.settings.questions_per_case).numpy()

    @cached_property
    def behavior_facts(self) -> Facts:
        """Return the facts of all stages before the search for sub-tasks."""
        components = (
            Fact(node, f"{TRI_STATE} {metric} {name}", column_label(k), value)
            for (node, name, k), result in self.pca_results.items()
            for metric, value in result.metrics.items()
        )
        return Facts([*self.ablation_facts, *self.attention_facts, *components])

    def candidates(self, task: SubTask, k: int | None) -> list[Node]:
        """Return the nodes that may do a sub-task, alone or together.

        Attention is not considered here.
        """
        positions = task.positions(self.layout)
        impact, facts = task.impact_token(self.layout, k), self.behavior_facts
        return [
            node
            for node in facts.nodes
            if node.position in positions
            and (not impact or facts.has(node, IMPACT, impact))
            and any(
                fact.label.startswith(tuple(task.classes))
                for fact in facts.for_node(node, FAILS)
            )
        ]

    def attend(self, nodes: NodeSet, task: SubTask, k: int | None) -> bool:
        """Return whether heads together attend to all tokens that a sub-task needs."""
        return all(
            any(
                self.behavior_facts.has(
                    node, ATTENDS, token, self.settings.min_attention
                )
                for node in nodes
            )
            for token in task.attended_tokens(self.layout, k)
        )

    def intervention(
        self, task: SubTask, k: int | None, times: int = 1
    ) -> InterchangeIntervention:
        """Return the intervention of a sub-task, on `times` as many pairs as usual.

        Pairs with a wrongly answered question are removed.
        """
        use = ("pairs",) if times == 1 else ("pairs", times)
        rng = self.rng_for(*use, task.name, -1 if k is None else k)
        drawn = task.pairs(rng, self.digits, k, times * self.settings.pairs)
        base, source = (self.run(ids) for ids in (drawn.base, drawn.source))
        correct = self.is_correct(base, drawn.base)
        correct &= self.is_correct(source, drawn.source)
        device = base.ids.device
        return InterchangeIntervention(
            base.select(correct.to(device)),
            source.select(correct.to(device)),
            drawn.predicted[correct].to(device),
            drawn.mask.to(device),
            task.match_all,
            drawn.case[correct],
            int(drawn.case.max()) + 1,
        )

    def searches(self) -> Iterator[SubtaskSearch]:
        """Yield the sub-tasks of all columns that have candidate nodes."""
        for task in SUBTASKS.values():
            if task.operations <= set(self.operations):
                for k in task.columns(self.digits):
                    candidates = self.candidates(task, k)
                    # MLPs have no attention, so only heads are filtered by it.
                    nodes = [
                        node
                        for node in candidates
                        if node.kind == MLP or self.attend((node,), task, k)
                    ]
                    sets = TOGETHER[task.together](candidates)
                    sets = [one for one in sets if self.attend(one, task, k)]
                    if nodes or sets:
                        once, more = (
                            cache(partial(self.intervention, task, k, times))
                            for times in (1, REPEATED)
                        )
                        yield SubtaskSearch(task, k, once(), more, nodes, sets)

    @cached_property
    def search_results(self) -> list[tuple[SubtaskSearch, dict[NodeSet, Rate]]]:
        """Return all searches with their success rates."""
        return [(one, one.rates()) for one in self.searches()]

    @cached_property
    def facts(self) -> Facts:
        """Return all facts about the useful nodes."""
        subtasks = (
            fact
            for searched, rates in self.search_results
            for nodes, rate in rates.items()
            for fact in _subtask_facts(searched, nodes, rate)
        )
        return Facts([*self.behavior_facts, *subtasks])


class Share(TypedDict):
    """A share and its 95 % interval."""

    value: float | None
    low: float
    high: float


def share(count: int, total: int) -> Share:
    """Return count / total and its interval; None and [0, 1] if total is 0."""
    low, high = clopper_pearson(count, total) if total else (0.0, 1.0)
    return {"value": count / total if total else None, "low": low, "high": high}


def _failure_facts(node: Node, changed: Tensor, level: Tensor) -> Iterator[Fact]:
    """Yield failures in total, by answer digit and by class.

    `changed`, bool [Q, A], marks the answer tokens that change when the node is
    ablated.  `level` [Q] are the classes of the questions.
    """
    fails, total = changed.any(-1), len(changed)
    yield Fact(node, FAILS, **share(int(fails.sum()), total))
    highest = changed.shape[1] - 1
    for place, count in enumerate(changed.sum(0).tolist()):
        if count:
            yield Fact(node, IMPACT, f"A{highest - place}", **share(count, total))
    asked, failed = (
        torch.bincount(level[chosen], minlength=len(CLASSES)).tolist()
        for chosen in (torch.ones_like(fails), fails)
    )
    for name, count, questions in zip(CLASSES, failed, asked, strict=True):
        if count:
            yield Fact(node, FAILS, name, **share(count, questions))


def _subtask_facts(
    searched: SubtaskSearch, nodes: NodeSet, rate: Rate
) -> Iterator[Fact]:
    """Yield the success rate of an intervention, for each of its nodes."""
    value = None if rate.value != rate.value else rate.value
    label, numbers = column_label(searched.k), (value, rate.low, rate.high)
    for node in nodes:
        partner = partner_names(nodes, node)
        yield Fact(node, searched.task.name, label, *numbers, partner)


def partner_names(nodes: NodeSet, node: Node) -> str:
    """Return the names of the other nodes of a set at a position."""
    return " ".join(other.component for other in nodes if other != node)
