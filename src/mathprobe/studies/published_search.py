"""Search for sub-tasks by the rules of the published library.

A: answer tokens, T: tokens, V: sets of heads.

Its counts are printed beside those of our own rules; `arith.published_rules` describes
the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from mathprobe.arith.published_rules import RULES, Rule, Trial
from mathprobe.arith.tokens import TOKENS, VOCABULARY
from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import HEAD, Node, NodeSet
from mathprobe.interp.patches import node_patch
from mathprobe.interp.patching import Run
from mathprobe.interp.search import head_pairs
from mathprobe.studies.arith_facts import column_label
from mathprobe.studies.circuits import Circuit, partner_names
from mathprobe.studies.published_maps import WEAK, behaviors


def subtasks(circuit: Circuit) -> Facts:
    """Return the sub-tasks that the published rules find in a model.

    A fact has the name of the sub-task (after WEAK for a weak finding) and no value.
    Heads that only attend to the operator or only to the sign have no sub-task.
    """
    facts = circuit.behavior_facts
    items = behaviors(facts, circuit.layout)
    tags = {node: item["tags"] for node, item in zip(facts.nodes, items, strict=True)}
    found = Facts(
        fact
        for name, rule in RULES.items()
        if set(rule.operations) <= set(circuit.operations)
        for k in rule.columns(circuit.digits)
        for nodes, weak in _search(
            circuit, rule, k, _candidates(tags, rule, circuit.digits, k)
        )
        for fact in _facts(name, k, nodes, weak)
    )
    attention = [[name] for name, rule in RULES.items() if rule.lowest is None]
    return Facts(
        fact
        for node in found.nodes
        for own in [found.for_node(node)]
        if [fact.name for fact in own] not in attention
        for fact in own
    )


def _candidates(
    tags: Mapping[Node, Sequence[str]], rule: Rule, n: int, k: int | None
) -> list[Node]:
    """Return the heads that a rule tests."""
    positions, needed = rule.positions(n), rule.needed_tags(n, k)
    return [
        node
        for node, own in tags.items()
        if node.kind == HEAD and node.position in positions
        if all(any(tag.startswith(start) for tag in own) for start in needed)
    ]


def _search(
    circuit: Circuit, rule: Rule, k: int | None, heads: Sequence[Node]
) -> list[tuple[NodeSet, bool]]:
    """Return the heads and pairs of heads that succeed, and whether weakly.

    A pair counts only if no single head at its position succeeds.
    """
    n = circuit.digits
    trials = rule.trials(n, k)
    sets = [(head,) for head in heads] + (head_pairs(heads) if rule.allow_pairs else [])
    answers = [_answers(circuit, rule, trial, sets) for trial in trials]
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
        if good:
            return [
                (nodes, weak)
                for nodes in good
                if len(nodes) == 1 or nodes[0].position not in alone
            ]
    return []


def _facts(name: str, k: int | None, nodes: NodeSet, weak: bool) -> Iterator[Fact]:
    """Yield the facts about a set of heads that succeeds."""
    name, label = (f"{WEAK}{name}", f"{k}.A{k}") if weak else (name, column_label(k))
    for node in nodes:
        yield Fact(node, name, label, partner=partner_names(nodes, node))


def _answers(
    circuit: Circuit, rule: Rule, trial: Trial, sets: Sequence[NodeSet]
) -> list[str]:
    """Return the answers to the base if each set of heads is patched from the source.

    Tokens before a patched position are predicted by the unpatched model.
    """
    if not sets:
        return []
    device = next(circuit.model.parameters()).device
    texts = [rule.question(each, circuit.digits) for each in (trial.base, trial.source)]
    base, source = (
        Run(
            circuit.model,
            torch.tensor([[TOKENS[symbol] for symbol in text]], device=device),
            circuit.layout.answer_length,
        )
        for text in texts
    )
    values = source.activations(*{node.hook_name for nodes in sets for node in nodes})
    patches = [[node_patch(node, values) for node in nodes] for nodes in sets]
    patched = base.answers(patches)[:, 0].cpu()  # [V, A]
    with torch.inference_mode():
        logits = base.model(base.ids[:, :-1])[:, -base.answer_length :]
    place = torch.tensor([nodes[0].position for nodes in sets])
    predicts = torch.tensor(base.positions)[-base.answer_length :]
    answers = torch.where(predicts < place[:, None], logits.argmax(-1).cpu(), patched)
    return ["".join(VOCABULARY[token] for token in each) for each in answers.tolist()]
