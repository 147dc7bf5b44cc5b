"""Sub-tasks found by the rule of the published library, to compare with our own rule.

n: digits, k: column (0: units), A: answer tokens, T: tokens, V: sets of heads.

Source: the code published with Quirke, Neo, Barez 2024 (`maths_search_*`,
`algo_search`), with the options of the notebook QMAnalyse.  A rule tests useful heads
whose tags begin as required.  It patches one or two heads from a source into a base
question, for one or two fixed pairs of questions, with teacher forcing of the correct
answer.  The answer must be as predicted; for ST and MT it must change, for GT its sign
must change.  OPR and SGN are attention, without a test.  Tags are compared as text, so
that P1 is found in `Attn:P12=50`, and a digit in `Impact:A543` only if it is the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mathprobe.arith.questions import OPERATIONS
from mathprobe.arith.tokens import TOKENS, VOCABULARY, Layout
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, Node
from mathprobe.interp.patching import Run, node_patch
from mathprobe.interp.search import NodeSet, head_pairs
from mathprobe.studies.arith_facts import column_label
from mathprobe.studies.circuits import Circuit
from mathprobe.studies.published_maps import WEAK, behaviors, impact_text

Operands = tuple[int, int]
Repeat = Callable[[int], int]  # from a digit to the number of n such digits


class Trial(NamedTuple):
    """A source and a base question, and the predicted change of the base's result."""

    source: Operands
    base: Operands
    change: int | None  # None: every change of the answer is accepted


@dataclass(frozen=True)
class Rule:
    """The rule for a sub-task.

    Texts may contain {k}, {below} (k - 1), {above} (k + 1), {n} and {sign} (n + 1).
    """

    operations: tuple[str, ...]  # that a model has learned; trials are of the first
    trials: Callable[[Repeat, int], list[Trial]]  # of a `Repeat` and 10^k
    attends: tuple[str, ...] = ("D{k}", "D'{k}")
    impact: str = ""  # the only answer digit that may change; empty: not compared
    major: str = ""  # beginning of another tag that a head must have
    first: str = "A{n}"  # token of the first position
    last: str = "A0"  # token of the last position
    lowest: int | None = 0  # first column; None: the sub-task belongs to no column
    allow_pairs: bool = False
    allow_weak: bool = False  # if no head is found, accept any value of that digit
    signs_only: bool = False  # compare only the signs of answers

    def columns(self, n: int) -> Sequence[int | None]:
        """Return the columns for which the sub-task is searched."""
        return [None] if self.lowest is None else range(self.lowest, n)

    def accepts(self, node: Node, tags: Sequence[str], n: int, k: int | None) -> bool:
        """Return whether a node with these published tags is tested."""

        def place(name: str) -> int:
            return Layout(n).position(_fill(name, n, k))

        starts = [f"Attn:P{place(name)}" for name in self.attends]
        starts.append(
            f"Impact:{_fill(self.impact, n, k)}" if self.impact else self.major
        )
        return (
            node.kind == HEAD
            and place(self.first) <= node.position <= place(self.last)
            and all(any(tag.startswith(start) for tag in tags) for start in starts)
        )

    def succeeds(
        self, trial: Trial, answer: str, n: int, k: int | None, weak: bool
    ) -> bool:
        """Return whether the answer to a patched base question is as predicted."""
        value = result(self.operations[0], trial.base)
        correct = answer_text(value, n)
        if trial.change is None:
            return answer != correct
        predicted = answer_text(value + trial.change, n)
        if self.signs_only:
            return answer[0] == predicted[0]
        pairs = enumerate(zip(correct, answer, strict=True))
        changed = impact_text(n + 1 - i for i, (old, new) in pairs if old != new)
        return changed == _fill(self.impact, n, k) and (weak or answer == predicted)


def _fill(text: str, n: int, k: int | None) -> str:
    near = {} if k is None else {"k": k, "below": k - 1, "above": k + 1}
    return text.format(n=n, sign=n + 1, **near)


def result(operation: str, operands: Operands) -> int:
    """Return the sum or the difference of two numbers."""
    return operands[0] + (operands[1] if operation == "addition" else -operands[1])


def answer_text(number: int, n: int) -> str:
    """Return a number as an answer: a sign and n + 1 digits."""
    return f"{'-' if number < 0 else '+'}{abs(number):0{n + 1}}"


ADD, SUBTRACT = ("addition",), ("subtraction",)
_digit = partial(Rule, impact="A{k}", allow_pairs=True, allow_weak=True)
_above = partial(Rule, impact="A{above}")
_early = partial(Rule, first="OPR", last="A{sign}", allow_pairs=True)
_attention = partial(Rule, trials=lambda r, e: [], first="OPR", lowest=None)

# Questions of repeated digits; e is 10^k, and r(3) is 333 for 3 digits.
RULES = {
    "SS": _above(
        ADD,
        lambda r, e: [
            Trial((r(2) + 3 * e, r(4)), (r(3) + e + 3 * e // 10, r(5)), -10 * e)
        ],
        attends=("D{below}", "D'{below}"),
        lowest=1,
    ),
    "SC": _above(ADD, lambda r, e: [Trial((r(2), r(6) + 3 * e), (r(3), r(5)), 10 * e)]),
    "SA": _digit(
        ADD,
        lambda r, e: [
            Trial((r(2), r(1)), (r(5), r(4)), -6 * e),
            Trial((r(2), r(6)), (r(5), r(1)), 2 * e),
        ],
    ),
    "ST": _early(
        ADD,
        lambda r, e: [Trial((r(2), r(7) + 2 * e), (r(3), r(6)), None)],
        major="Math.Add",
    ),
    "MD": _digit(
        SUBTRACT,
        lambda r, e: [
            Trial((r(3), r(1)), (r(9), r(4)), -3 * e),
            Trial((r(6), r(2)), (r(9), r(3)), -2 * e),
        ],
    ),
    "MB": _above(
        SUBTRACT, lambda r, e: [Trial((r(2), r(1) + 2 * e), (r(7), r(4)), -10 * e)]
    ),
    "MT": _early(
        SUBTRACT,
        lambda r, e: [Trial((r(5), 0), (r(2), r(2) + 2 * e), None)],
        major="Math.Sub",
    ),
    "OPR": _attention(ADD + SUBTRACT, attends=("OPR",)),
    "SGN": _attention(SUBTRACT, attends=("A{sign}",)),
    "ND": _digit(
        SUBTRACT,
        lambda r, e: [
            Trial((r(3) // 10, r(1)), (r(9) // 10, r(4)), -3 * e),
            Trial((r(6) // 10, r(2)), (r(9) // 10, r(3)), -2 * e),
        ],
    ),
    "NB": _above(
        SUBTRACT,
        lambda r, e: [Trial((r(2) // 10, r(1) + 2 * e), (r(7) // 10, r(4)), -10 * e)],
    ),
    "GT": Rule(
        SUBTRACT,
        lambda r, e: [
            Trial((6 * e, 2 * e + 1), (e, 2 * e + 1), 5 * e),
            Trial((e, 2 * e + 1), (6 * e, 2 * e + 1), -5 * e),
        ],
        first="OPR",
        signs_only=True,
    ),
}


def table(circuit: Circuit) -> Facts:
    """Return the sub-tasks that the published rule finds in a model.

    A fact has the name of the sub-task (after WEAK for a weak finding) and no value.
    Heads that only attend to the operator or only to the sign have no sub-task.
    """
    facts, n = circuit.behavior_facts, circuit.digits
    items = behaviors(facts, circuit.layout)
    tags = {node: item["tags"] for node, item in zip(facts.nodes, items, strict=True)}
    found = Facts(
        fact
        for name, rule in RULES.items()
        if set(rule.operations) <= set(circuit.operations)
        for k in rule.columns(n)
        for heads in [[node for node in tags if rule.accepts(node, tags[node], n, k)]]
        for fact in _search(circuit, name, k, heads)
    )
    attention = [[name] for name, rule in RULES.items() if rule.lowest is None]
    return Facts(
        fact
        for node in found.nodes
        for own in [found.for_node(node)]
        if [fact.name for fact in own] not in attention
        for fact in own
    )


def _search(
    circuit: Circuit, name: str, k: int | None, heads: Sequence[Node]
) -> Iterator[Fact]:
    """Yield the sub-task of a column for the heads and pairs of heads that succeed.

    A pair counts only if no single head at its position succeeds.
    """
    rule, n = RULES[name], circuit.digits
    trials = rule.trials(lambda digit: int(str(digit) * n), 10 ** (k or 0))
    sets = [(head,) for head in heads] + (head_pairs(heads) if rule.allow_pairs else [])
    answers = [_answers(circuit, rule.operations[0], trial, sets) for trial in trials]
    for weak in (False, True) if rule.allow_weak else (False,):
        good = [
            nodes
            for index, nodes in enumerate(sets)
            if all(
                rule.succeeds(trial, own[index], n, k, weak)
                for trial, own in zip(trials, answers, strict=True)
            )
        ]
        alone = {nodes[0].position for nodes in good if len(nodes) == 1}
        for nodes in good:
            if len(nodes) == 1 or nodes[0].position not in alone:
                yield from _facts(name, k, nodes, weak)
        if good:
            return


def _facts(name: str, k: int | None, nodes: NodeSet, weak: bool) -> Iterator[Fact]:
    label = column_label(k)
    for node in nodes:
        partners = [other.index for other in nodes if other != node]
        partner = partners[0] if partners else None
        if weak:
            yield Fact(node, f"{WEAK}{name}", f"{label}.A{k}", partner=partner)
        else:
            yield Fact(node, name, label, partner=partner)


def _answers(
    circuit: Circuit, operation: str, trial: Trial, sets: Sequence[NodeSet]
) -> list[str]:
    """Return the answers to the base if each set of heads is patched from the source.

    Tokens before a patched position are predicted by the unpatched model.
    """
    if not sets:
        return []
    base, source = (
        Run(circuit.model, ids, circuit.layout.answer_length)
        for ids in _questions(circuit, operation, [trial.base, trial.source])
    )
    values = source.activations(*{node.hook_name for nodes in sets for node in nodes})
    patches = [[node_patch(node, values) for node in nodes] for nodes in sets]
    patched = base.answers(patches)[:, 0]  # [V, A]
    with torch.inference_mode():
        unpatched = base.model(base.ids[:, :-1]).argmax(-1)[:, -base.answer_length :]
    place = torch.tensor([nodes[0].position for nodes in sets], device=patched.device)
    before = torch.arange(len(base.positions))[-base.answer_length :]
    answers = torch.where(before.to(place) < place[:, None], unpatched, patched)
    return [
        "".join(VOCABULARY[token] for token in answer) for answer in answers.tolist()
    ]


def _questions(
    circuit: Circuit, operation: str, questions: Sequence[Operands]
) -> Iterator[Tensor]:
    """Yield the token ids [1, T] of questions, followed by their correct answers."""
    n, symbol = circuit.digits, OPERATIONS[operation].symbol
    device = next(circuit.model.parameters()).device
    for one, two in questions:
        answer = answer_text(result(operation, (one, two)), n)
        text = f"{one:0{n}}{symbol}{two:0{n}}={answer}"
        yield torch.tensor([[TOKENS[symbol] for symbol in text]], device=device)
