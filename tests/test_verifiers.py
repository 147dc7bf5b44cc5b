import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe.linalg import verifiers
from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.distributions import COEFFICIENTS
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.verifiers import COLUMNS, VERIFIERS, Verifier
from mathprobe.registry import UnknownName
from mathprobe.seeds import rng_for

EXAMPLES = 20_000
NAN, INF = math.nan, math.inf
quick = settings(deadline=None)
tensor = partial(torch.tensor, dtype=torch.float64)
QUANTITIES = st.sampled_from([1.0, 1.5, 2.0, 2.5, 3.0, INF, NAN])
OUTCOMES = st.lists(st.tuples(QUANTITIES, st.booleans()), min_size=1, max_size=30)


def arrays(outcomes):
    quantity, correct = zip(*outcomes, strict=True)
    return tensor(quantity), torch.tensor(correct)


def rounded(encoding, matrix):
    """Return matrices, rounded by an encoding with three digits."""
    codec = MatrixCodec(ENCODINGS[encoding](digits=3))
    return codec.decode(codec.encode(matrix), *matrix.shape[1:])[0]


def auc_of_pairs(quantity, correct):
    """Return the probability that a success is below a failure, from all pairs."""
    ordered = [INF if math.isnan(q) else q for q in quantity.tolist()]
    outcomes = list(zip(ordered, correct.tolist(), strict=True))
    pairs = [
        (a < b) + (a == b) / 2
        for a, a_correct in outcomes
        for b, b_correct in outcomes
        if a_correct and not b_correct
    ]
    return sum(pairs) / len(pairs)


@pytest.fixture(scope="module")
def inverses():
    """Return rounded matrices, rounded inverses, and which of these are correct."""
    rng = rng_for("verifiers")
    matrix = COEFFICIENTS["uniform"](rng, (EXAMPLES, 5, 5), 10 / math.sqrt(3))
    prediction, matrix = rounded("p1000", matrix.inverse()), rounded("fp15", matrix)
    distance = (matrix @ prediction - torch.eye(5)).abs().sum((1, 2))
    return matrix, prediction, distance / 5 < 0.05


def vectors_between(angle):
    """Return eigenvalues and two unit vectors [1, 3, 2], in columns at an angle."""
    vectors = [[1.0, math.cos(angle)], [0.0, math.sin(angle)]]
    return tensor([[[1.0, 1.0], *vectors]])


def test_thresholds_agree_with_the_paper():
    thresholds = {name: verifier.threshold for name, verifier in VERIFIERS.items()}
    assert thresholds == {"vectors_condition": 1.045, "matrix_condition": 62.0}


@pytest.mark.parametrize(
    ("angle", "accepted"), [(0.0, True), (0.03, True), (0.06, False)]
)
def test_nearly_orthogonal_vectors_are_accepted(angle, accepted):
    prediction = vectors_between(math.pi / 2 - angle)
    verifier = VERIFIERS["vectors_condition"]
    expected = math.sqrt((1 + math.sin(angle)) / (1 - math.sin(angle)))
    assert verifier.quantity(None, prediction).item() == pytest.approx(expected)
    assert verifier.predict(None, prediction).tolist() == [accepted]


def test_inverses_are_accepted_by_the_matrix_only():
    matrix = torch.diag_embed(tensor([[61.0, 1.0], [1.0, 0.01], [0.0, 0.0]]))
    verifier = VERIFIERS["matrix_condition"]
    prediction = torch.zeros_like(matrix)
    quantity = verifier.quantity(matrix, prediction).tolist()
    assert quantity == pytest.approx([61.0, 100.0, INF])
    assert verifier.predict(matrix, prediction).tolist() == [True, False, False]


@pytest.mark.parametrize("name", VERIFIERS)
def test_a_malformed_prediction_is_never_accepted(name):
    matrix = torch.eye(2).double().repeat(2, 1, 1)
    prediction = vectors_between(math.pi / 2).repeat(2, 1, 1)
    prediction[0] = NAN
    verifier = VERIFIERS[name]
    assert verifier.quantity(matrix, prediction).isnan().tolist() == [True, False]
    for threshold in (verifier.threshold, INF):
        accepted = replace(verifier, threshold=threshold).predict(matrix, prediction)
        assert accepted.tolist() == [False, True]


def test_a_new_verifier_needs_one_registration(monkeypatch):
    monkeypatch.setattr(VERIFIERS, "_entries", dict(VERIFIERS))

    largest = Verifier(lambda matrix, prediction: prediction.abs().amax((1, 2)), 2.0)
    VERIFIERS.add("largest")(largest)
    prediction = tensor([[[1.0]], [[2.0]], [[NAN]]])
    accepted = VERIFIERS["largest"].predict(None, prediction)
    assert accepted.tolist() == [True, False, False]


def test_calibration_separates_successes_and_failures():
    quantity, correct = arrays([(3.0, False), (1.0, True), (1.5, True), (2.5, False)])
    assert verifiers.calibrate(quantity, correct) == 2.5


@quick
@given(OUTCOMES)
def test_no_threshold_is_better_than_the_calibrated_one(outcomes):
    quantity, correct = arrays(outcomes)

    def score(threshold):
        return int(((quantity < threshold) == correct).sum())

    best = max(map(score, [*np.arange(0.75, 4.0, 0.25), INF]))
    found = verifiers.calibrate(quantity, correct)
    assert score(found) == best
    lower = [q for q in quantity.tolist() if q < found]
    assert all(score(threshold) < best for threshold in lower)


@quick
@given(OUTCOMES)
def test_the_auc_is_the_probability_that_a_success_is_below_a_failure(outcomes):
    quantity, correct = arrays(outcomes)
    area, low, high = verifiers.auc(quantity, correct)
    if correct.all() or not correct.any():
        assert (area, low, high) == (None, None, None)
    else:
        assert area == pytest.approx(auc_of_pairs(quantity, correct))
        assert low is None or 0.0 <= low < area < high <= 1.0


@quick
@given(OUTCOMES)
def test_the_auc_depends_on_the_order_only(outcomes):
    quantity, correct = arrays(outcomes)
    assert verifiers.auc(quantity.exp(), correct) == verifiers.auc(quantity, correct)
    area = verifiers.auc(quantity, correct)[0]
    if area is not None:
        assert verifiers.auc(quantity, ~correct)[0] == pytest.approx(1.0 - area)


def test_the_interval_of_the_auc_uses_delongs_variance_and_the_logit():
    """The placements are 1, 1, 1/2 for successes and 1, 2/3 for failures."""
    quantity, correct = arrays(
        [(1.0, True), (1.5, True), (2.5, True), (3.0, False), (2.0, False)]
    )
    area, low, high = verifiers.auc(quantity, correct)
    assert area == pytest.approx(5 / 6)
    variance = (1 / 12) / 3 + (1 / 18) / 2
    half = 1.959963984540054 * math.sqrt(variance) / (5 / 36)
    centre = math.log(5)
    assert low == pytest.approx(1 / (1 + math.exp(half - centre)))
    assert high == pytest.approx(1 / (1 + math.exp(-half - centre)))


@pytest.mark.parametrize(
    "outcomes",
    [
        [(1.0, True), (1.0, True), (2.0, False), (3.0, False)],
        [(1.0, True), (3.0, True), (2.0, False)],
        [(1.0, True), (1.0, True), (1.0, False), (1.0, False)],
    ],
    ids=["separated", "one failure", "all equal"],
)
def test_without_variance_there_is_no_interval(outcomes):
    area, low, high = verifiers.auc(*arrays(outcomes))
    assert area is not None
    assert (low, high) == (None, None)


def test_the_interval_of_the_auc_has_95_percent_coverage(inverses):
    matrix, prediction, correct = inverses
    quantity = VERIFIERS["matrix_condition"].quantity(matrix, prediction)
    area, covered = verifiers.auc(quantity, correct)[0], 0
    rng = rng_for("verifiers", "samples")
    for sample in torch.randint(EXAMPLES, (300, 1000), generator=rng):
        _, low, high = verifiers.auc(quantity[sample], correct[sample])
        covered += low <= area <= high
    assert 0.91 < covered / 300 < 0.99


def test_a_roc_curve_computed_by_hand():
    quantity, correct = arrays(
        [
            (1.0, True),
            (2.0, True),
            (2.0, False),
            (3.0, False),
            (INF, True),
            (NAN, False),
        ]
    )
    rows = list(verifiers.roc({"a": quantity}, correct))
    assert [tuple(row.values()) for row in rows] == [
        ("a", 1.0, 0.0, 0.0),
        ("a", 2.0, 0.0, pytest.approx(1 / 3)),
        ("a", 3.0, pytest.approx(1 / 3), pytest.approx(2 / 3)),
        ("a", INF, pytest.approx(2 / 3), pytest.approx(2 / 3)),
    ]
    assert all(tuple(row) == COLUMNS["roc"] for row in rows)


@quick
@given(OUTCOMES)
def test_every_point_of_a_roc_curve_has_the_rates_of_its_threshold(outcomes):
    quantity, correct = arrays(outcomes)
    rows = list(verifiers.roc({"a": quantity}, correct))
    assert bool(rows) == bool(correct.any() and not correct.all())
    for row in rows:
        accepted = quantity < row["threshold"]
        rates = verifiers.rates(accepted, correct)
        above = rates["failures_above"]["value"]
        assert row["true_positive_rate"] == rates["successes_below"]["value"]
        assert row["false_positive_rate"] == pytest.approx(1.0 - above)


def test_omitted_points_do_not_change_the_auc(inverses):
    matrix, prediction, correct = inverses
    quantity = VERIFIERS["matrix_condition"].quantity(matrix, prediction)
    rows = list(verifiers.roc({"a": quantity}, correct))
    assert len(rows) < 0.1 * EXAMPLES
    end = {"false_positive_rate": 1.0, "true_positive_rate": 1.0}
    width, height = ([row[rate] for row in [*rows, end]] for rate in end)
    area = np.trapezoid(height, width)
    assert area == pytest.approx(verifiers.auc(quantity, correct)[0], abs=1e-12)


def test_rates_follow_the_definitions_of_the_paper():
    accepted = torch.tensor([True, True, False, False, False, True])
    correct = torch.tensor([True, True, True, False, False, False])
    rates = verifiers.rates(accepted, correct)
    counts = {name: (row["count"], row["examples"]) for name, row in rates.items()}
    assert counts == {
        "successes_below": (2, 3),
        "failures_above": (2, 3),
        "right": (4, 6),
    }


def test_a_calibrated_threshold_is_evaluated_on_held_out_examples():
    """A threshold of 2 separates examples 0, 2, ..., one of 5 the others."""
    even = [(1.0, True), (2.0, False)] * 4
    odd = [(4.0, True), (5.0, False)] * 4
    outcomes = [pair for pairs in zip(even, odd, strict=True) for pair in pairs]
    quantity, correct = arrays(outcomes)
    rows = {
        (row["chosen_by"], row["statistic"]): row
        for row in verifiers.table({"matrix_condition": quantity}, correct)
    }
    found = rows["calibration", "right"]
    assert (found["threshold"], found["examples"], found["value"]) == (2.0, 8, 0.5)
    printed = rows["paper", "successes_below"]
    assert (printed["threshold"], printed["examples"]) == (62.0, 8)
    assert printed["value"] == 1.0
    assert rows[None, "auc"]["examples"] == 16
    assert all(tuple(row) == COLUMNS["table"] for row in rows.values())


@pytest.mark.parametrize("outcome", [True, False])
@pytest.mark.parametrize("examples", [1, 2, 7])
def test_the_table_has_all_rows_if_all_outcomes_are_equal(outcome, examples):
    quantity = torch.full((examples,), 1.0, dtype=torch.float64)
    correct = torch.full((examples,), outcome)
    rows = list(verifiers.table({"vectors_condition": quantity}, correct))
    assert len(rows) == 7
    empty = "failures_above" if outcome else "successes_below"
    for row in rows:
        if row["statistic"] in (empty, "auc"):
            assert row["value"] is None


def test_an_unknown_verifier_raises_an_error():
    with pytest.raises(UnknownName, match="vectors_condition, matrix_condition"):
        list(verifiers.table({"luck": tensor([1.0])}, torch.tensor([True])))


def test_rates_of_the_published_threshold_on_exact_inverses(inverses):
    """Known rates are from 100 000 matrices; the tolerance is four standard errors."""
    matrix, prediction, correct = inverses
    accepted = VERIFIERS["matrix_condition"].predict(matrix, prediction)
    rates = verifiers.rates(accepted, correct)
    known = {"right": 0.967, "successes_below": 0.966, "failures_above": 0.979}
    for name, rate in known.items():
        row = rates[name]
        error = math.sqrt(1.2 * rate * (1 - rate) / row["examples"])
        assert row["value"] == pytest.approx(rate, abs=4 * error + 0.0005)
    error = math.sqrt(1.2 * 0.919 * 0.081 / EXAMPLES)
    accuracy = correct.double().mean().item()
    assert accuracy == pytest.approx(0.919, abs=4 * error + 0.0005)
