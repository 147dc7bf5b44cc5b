"""The analysis finds exactly the circuit of a decoder with hand-set weights."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from msgspec import structs
from synthetic import CATALOG
from wired import cascade, gelu, wired, with_activation

from mathprobe.arith.claims import evaluate
from mathprobe.arith.subtasks import SUBTASKS
from mathprobe.errors import InputError
from mathprobe.interp.facts import Facts
from mathprobe.interp.nodes import Node
from mathprobe.nets.decoder import Decoder
from mathprobe.spec import ArithModel, DecoderConfig, Enrichment, Questions
from mathprobe.studies import arith_facts, controls
from mathprobe.studies.arith import models
from mathprobe.studies.arith_facts import is_found, subtask_positions
from mathprobe.studies.circuits import Circuit
from mathprobe.studies.comparisons import count_clauses

SETTINGS = structs.replace(
    CATALOG.arith("paper").circuits(), questions_per_case=60, random_sets=3
)

SHARES = {"mixed": {"addition": 0.5, "subtraction": 0.5}}


def score(rows):
    """Return the number of clauses that hold and the number of clauses."""
    return tuple(count_clauses(pd.DataFrame(rows), "algorithm").sum())


def circuit(operation, n, model=None):
    model = model or wired(operation, n)
    enrichment = Enrichment(0.4, 0.4, 0.01)
    questions = Questions(
        n, SHARES.get(operation, {operation: 1.0}), "batches", enrichment
    )
    return Circuit(questions, model, SETTINGS)


def record(circuit):
    """Return the training record of a decoder with hand-set weights."""
    config = circuit.model.config
    return ArithModel("wired", circuit.questions, config, None, 1, 1, None)


@pytest.fixture(scope="module")
def addition():
    return circuit("addition", 2)


@pytest.fixture(scope="module")
def subtraction():
    return circuit("subtraction", 2)


@pytest.fixture(scope="module")
def mixed():
    return circuit("mixed", 3)


@pytest.fixture(scope="module")
def cascades():
    operations = ("addition", "subtraction")
    return {name: circuit(name, 3, cascade(name, 3)) for name in operations}


def untrained(like):
    return models.untrained(like.model, 1)


def done(circuit):
    """Return the found sub-tasks as node, sub-task and column."""
    return {
        (fact.node.name, fact.name, arith_facts.column(fact))
        for fact in circuit.facts
        if is_found(fact)
    }


def test_exactly_the_useful_positions_and_nodes_are_found(addition):
    assert [row["position"] for row in addition.positions if row["fails"]] == [6, 7, 8]
    assert [node.name for node in addition.ablation_facts.nodes] == [
        *("P06L0H1", "P06L0H2", "P06L0MLP"),
        *("P07L0H0", "P07L0H1", "P07L0MLP"),
        *("P08L0H0", "P08L0MLP"),
    ]


def test_exactly_the_sub_tasks_of_addition_are_found(addition):
    """The MLP that writes the answer encodes SV for the top digit.

    For the units digit, which has no carry-in, it encodes SA.
    """
    assert done(addition) == {
        *(("P06L0H1", "ST", 1), ("P06L0H2", "ST", 0), ("P06L0MLP", "SV", 1)),
        *(("P06L0H1", "SV", 1), ("P06L0H2", "SV", 1)),  # together
        *(("P07L0H0", "SA", 1), ("P07L0H1", "SC", 0), ("P07L0H1", "SU", 0)),
        ("P07L0MLP", "SR", 1),
        *(("P08L0H0", "SA", 0), ("P08L0MLP", "SA", 0)),
    }


def test_the_circuit_of_a_decoder_with_gelu_is_found(addition):
    """With ReLU, the same weights answer no question correctly."""
    model = gelu("addition", 2)
    assert done(circuit("addition", 2, model)) == done(addition)
    assert not circuit("addition", 2, with_activation(model, "relu")).facts.nodes


def test_a_model_that_does_not_fit_the_questions_is_refused(addition):
    with pytest.raises(InputError, match="10 positions; questions of 3 digits need 12"):
        replace(addition, questions=structs.replace(addition.questions, digits=3))
    config = addition.model.config
    with pytest.raises(InputError, match="reads 12 tokens and writes 12"):
        replace(addition, model=Decoder(config, 12, 10))
    few = structs.replace(config, output_vocab_size=11)
    with pytest.raises(InputError, match=r"writes 11; .* answers 0 to 11"):
        replace(addition, model=Decoder(few, 15, 10))


def test_exactly_the_sub_tasks_of_subtraction_are_found_in_pairs_of_heads(
    subtraction,
):
    assert done(subtraction) == {
        *(("P07L0H0", "MD", 1), ("P07L0H1", "MD", 1)),
        *(("P07L0H2", "MB", 0), ("P07L0H3", "MB", 0)),
        *(("P07L0H2", "MU", 0), ("P07L0H3", "MU", 0), ("P07L0MLP", "MR", 1)),
        *(("P08L0H0", "MD", 0), ("P08L0H1", "MD", 0), ("P08L0MLP", "MD", 0)),
    }
    shared = subtraction.facts.for_node(Node.parse("P07L0H2"), "MB")
    assert [fact.partner for fact in shared if is_found(fact)] == ["L0H3"]


def test_exactly_the_sub_tasks_of_a_mixed_model_are_found(mixed):
    """The MLP encodes GT at the position that predicts the sign, and the units digit,
    which has no carry-in.  Head 7 also reads the operator at earlier positions, for the
    sign and for a carry; no pair of questions tests these positions.  Four heads
    together hold the carry into the top digit, too many for the search."""
    columns = range(3)
    digit, carry = ("SA", "MD", "ND"), ("SC", "MB", "NB")
    used, result = ("SU", "MU", "NU"), ("SR", "MR", "NR")
    assert done(mixed) == {
        *((f"P07L0H{head}", "GT", 2 - head // 2) for head in range(6)),
        ("P07L0MLP", "GT", 2),
        *(
            (f"P{11 - k:02}L0H{h}", task, k)
            for k in columns
            for h in (0, 1)
            for task in digit
        ),
        *(
            (f"P{10 - k:02}L0H{h}", task, k)
            for k in (0, 1)
            for h in (2, 3)
            for task in carry
        ),
        *((f"P09L0H{head}", "SS", 1) for head in (2, 3)),
        *((f"P10L0H{head}", task, 0) for head in (2, 3) for task in used),
        *((f"P{11 - k:02}L0MLP", task, k) for k in (1, 2) for task in result),
        ("P08L0MLP", "SV", 2),
        *((f"P{11 - k:02}L0H6", "SGN", None) for k in columns),
        *((f"P{11 - k:02}L0H7", "OPR", None) for k in columns),
        *(("P11L0MLP", task, 0) for task in digit),
    }


def test_exactly_the_sub_tasks_of_cascades_are_found(cascades):
    """The first layer encodes carry states; the second, the carry of the top column."""
    columns = range(3)
    assert done(cascades["addition"]) == {
        *((f"P{6 - k:02}L0H0", "ST", k) for k in columns),
        *((f"P{6 - k:02}L0MLP", "ST", k) for k in columns),
        ("P08L1MLP", "SV", 2),
        *((f"P{11 - k:02}L1H0", "SA", k) for k in columns),
        ("P11L1MLP", "SA", 0),
        *((f"P08L1H{head}", "SV", 1) for head in (1, 2)),  # together
        *((f"P09L1H{head}", "SU", 1) for head in (1, 2)),
        ("P10L1H1", "SU", 0),
        *((f"P{11 - k:02}L1MLP", "SR", k) for k in (1, 2)),
    }
    assert done(cascades["subtraction"]) == {
        *((f"P{6 - k:02}L0H{head}", "MT", k) for k in (0, 1) for head in range(2)),
        *((f"P{6 - k:02}L0MLP", "MT", k) for k in (0, 1)),
        *((f"P{11 - k:02}L1H{head}", "MD", k) for k in columns for head in range(2)),
        ("P11L1MLP", "MD", 0),
        *((f"P09L1H{head}", "MU", 1) for head in (2, 3)),
        ("P10L1H2", "MU", 0),
        *((f"P{11 - k:02}L1MLP", "MR", k) for k in (1, 2)),
    }


def test_claims_about_two_layers_hold(cascades):
    for operation, clauses in (("addition", 5), ("subtraction", 6)):
        rows = evaluate([operation], 2, 3, subtask_positions(cascades[operation].facts))
        own = [row for row in rows if row["algorithm"] == operation]
        assert score(own) == (clauses, clauses)


def test_a_one_layer_model_propagates_carries_across_one_column():
    three = circuit("addition", 3)
    assert ("P09L0H1", "SS", 1) in done(three)
    assert ("P09L0H1", "SC", 1) in done(three)
    assert not any(task == "ST" and column < 2 for _, task, column in done(three))
    rows = list(evaluate(["addition"], 1, 3, subtask_positions(three.facts)))
    assert score(rows) == (len(rows), len(rows))


def test_attention_facts_name_the_attended_tokens(addition):
    facts = addition.facts.for_node(Node.parse("P07L0H1"))
    seen = {(f.name, f.label): f.value for f in facts if f.name.startswith("attends")}
    assert seen.keys() == {("attends", "D0"), ("attends", "D'0")}
    assert seen["attends", "D0"] == pytest.approx(0.5)


def test_failures_are_recorded_by_class_and_digit(addition):
    facts = {
        (fact.name, fact.label): fact
        for fact in addition.facts.for_node(Node.parse("P06L0H2"))
        if fact.name.startswith(("fails", "impact"))
    }
    (level,) = facts.keys() - {("fails", ""), ("impact", "A2")}
    assert level in [("fails", "S0"), ("fails", "S2")]  # S2: the column above sums to 9
    share = facts[level]
    assert 0 < share.low <= share.value <= share.high <= 1
    assert facts["fails", ""].value == facts["impact", "A2"].value


def test_pca_separates_the_states_of_the_column_that_a_head_reads(addition):
    clear = {(node.name, k) for node, _, k in addition.pca_results}
    assert clear == {
        *(("P06L0H1", 1), ("P06L0H2", 0), ("P07L0H0", 1)),
        *(("P07L0H1", 0), ("P08L0H0", 0)),
    }
    facts = addition.facts.for_node(
        Node.parse("P07L0H0"), "tri-state agreement addition"
    )
    assert [(fact.label, fact.value > 0.8) for fact in facts] == [("1", True)]


def test_claims_about_one_layer_hold_for_a_mixed_model(mixed):
    rows = list(
        evaluate(["addition", "subtraction"], 1, 3, subtask_positions(mixed.facts))
    )
    assert score(rows) == (len(rows), len(rows))
    assert {row["algorithm"].split()[0] for row in rows} == {"addition", "subtraction"}


def test_claims_about_one_layer_hold(addition, subtraction):
    for circuit, operation in ((addition, "addition"), (subtraction, "subtraction")):
        rows = list(evaluate([operation], 1, 2, subtask_positions(circuit.facts)))
        assert len(rows) == 3
        assert score(rows) == (3, 3)


@pytest.fixture(scope="module")
def rows(addition, subtraction):
    """Return a function that returns the rows of a control, by operation."""
    circuits = {"addition": addition, "subtraction": subtraction}
    tables = {k: list(controls.table(v, untrained(v))) for k, v in circuits.items()}
    return lambda operation, control: [
        row for row in tables[operation] if row["control"] == control
    ]


def test_the_useful_nodes_are_sufficient_and_random_ones_are_not(rows):
    for name in controls.ABLATIONS:
        kept = {row["of"]: row for row in rows("addition", f"keep only, {name}")}
        assert kept["useful"]["value"] == 1.0
        assert kept["with a purpose"]["value"] == 1.0
        assert kept["random"]["value"] < 0.2
        assert kept["random"]["nodes"] == kept["useful"]["nodes"] == 8


@pytest.mark.parametrize("control", ["random nodes", "untrained"])
@pytest.mark.parametrize("operation", ["addition", "subtraction"])
def test_controls_find_nothing_by_chance(control, operation, rows):
    tried, found = rows(operation, control), rows(operation, "found")
    assert {row["of"]: row["total"] for row in tried} == {
        row["of"]: row["total"] for row in found
    }
    assert sum(row["total"] for row in tried) > sum(row["count"] for row in found)
    assert all(row["count"] == 0 for row in tried)
    assert any(row["count"] for row in found)


def test_purposes_are_counted_by_kind(rows):
    counts = {row["of"]: row["count"] for row in rows("subtraction", "purpose")}
    assert counts == {"head": 6, "mlp": 2}


def test_a_model_without_correct_answers_has_an_empty_map(addition):
    bare = replace(addition, model=untrained(addition))
    assert bare.facts.nodes == []
    assert {row["questions"] for row in bare.positions} == {0}
    assert {row["value"] for row in bare.positions} == {None}
    rows = list(controls.table(bare, bare.model))
    assert [row["total"] for row in rows] == [0, 0]


def test_an_untrained_model_does_no_sub_task(addition):
    """Its own answers are the base; no patch changes them as predicted."""
    bare = replace(addition, model=untrained(addition))
    for name, k in (
        ("SA", 0),
        ("SA", 1),
        ("SC", 0),
        ("ST", 1),
        ("SV", 1),
        ("SU", 0),
        ("SR", 1),
    ):
        drawn = SUBTASKS[name].pairs(bare.rng_for("test"), 2, k, 64)
        run = bare.run(drawn.base)
        intervention = replace(
            addition.intervention(SUBTASKS[name], k),
            base=run,
            source=bare.run(drawn.source),
            predicted=drawn.predicted,
            case=drawn.case,
        )
        assert not any(
            rate.is_found for rate in intervention.rates([(n,) for n in run.nodes])
        )


class AllCorrect(Circuit):
    """Analysis of a decoder whose answers are treated as correct."""

    def is_correct(self, run, ids):
        return torch.ones(len(ids), dtype=torch.bool)


def test_a_decoder_with_attention_only_has_heads_only(addition):
    """It may also lack the last position, which predicts nothing."""
    small = {"width": 12, "head_width": 4, "heads": 3, "layers": 2, "mlp_width": 0}
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(**small, norm=None), 13, addition.layout.length - 1)
    settings = structs.replace(SETTINGS, questions_per_class=4, pairs=16)
    facts = AllCorrect(addition.questions, model.eval(), settings).facts
    assert {node.component for node in facts.nodes} == {
        f"L{layer}H{head}" for layer in range(2) for head in range(3)
    }


def test_the_same_model_has_the_same_map(addition, tmp_path):
    for name, one in (("first", addition), ("second", circuit("addition", 2))):
        one.facts.save(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert list(Facts.load(tmp_path / "first")) == list(addition.facts)
