"""Measures and effects against whole passes through small random decoders."""

from contextlib import ExitStack

import pytest
import torch
from networks import decoder, ids, parts

from mathprobe.errors import InputError
from mathprobe.interp import patching
from mathprobe.interp.measures import (
    answer_changed,
    effects,
    estimate,
    logit_difference,
    loss,
    patch_nodes,
    probability,
)
from mathprobe.interp.patching import Run
from mathprobe.intervals import clopper_pearson
from mathprobe.nets.hooks import patch
from mathprobe.seeds import rng_for

LENGTH = 4


@pytest.fixture(params=[{}, {"norm": "RMS", "mlp_width": 0}], ids=["own", "foreign"])
def run(request):
    return Run.greedy(decoder(layers=3, **request.param), ids(15, 6, 9), LENGTH)


@pytest.fixture
def source(run):
    return Run.greedy(run.model, ids(15, 6, 9, seed=1), LENGTH)


def others(run):
    return ids(15, len(run.ids), LENGTH, seed=2)


def by_hand(run, logits):
    """Return every measure from logits [Q, A, Y], by its definition."""
    own, other = run.unpatched_answers, others(run)
    questions, tokens = torch.arange(len(own))[:, None], torch.arange(LENGTH)
    return {
        "changed": logits.argmax(-1) != own,
        "difference": logits[questions, tokens, own] - logits[questions, tokens, other],
        "probability": logits.softmax(-1)[questions, tokens, other],
        "loss": -(logits.softmax(-1)[questions, tokens, other]).log(),
    }


def metrics(run):
    own, other = run.unpatched_answers, others(run)
    return {
        "changed": answer_changed(own),
        "difference": logit_difference(own, other),
        "probability": probability(other),
        "loss": loss(other),
    }


def whole_pass(run, patches):
    """Return the logits of answer tokens after a pass of all layers and positions."""

    def write(x, one):
        x[(slice(None), one.position, *one.index)] = one.value
        return x

    with ExitStack() as stack, torch.inference_mode():
        for one in patches:
            stack.enter_context(
                patch(run.model, one.hook_name, lambda x, one=one: write(x, one))
            )
        return run.model(run.ids[:, :-1])[:, -LENGTH:]


@pytest.mark.parametrize("rows", [1, 20, 10**6])
def test_measures_of_patched_runs_match_whole_passes(rows, run, source, monkeypatch):
    monkeypatch.setattr(patching, "CPU_ROWS", rows)
    patched_runs = [[], *patch_nodes([(node,) for node in parts(run)])(run, source)]
    logits = [whole_pass(run, patches) for patches in patched_runs]
    expected = [by_hand(run, one) for one in logits]
    for name, metric in metrics(run).items():
        found = run.measure(patched_runs, metric)
        torch.testing.assert_close(found, torch.stack([one[name] for one in expected]))


def test_effects_are_shares_of_the_difference_between_the_runs(run, source):
    own, other = run.unpatched_answers, others(run)
    metric = logit_difference(own, other)
    sets = [(node,) for node in run.nodes[-10:]]
    found = effects(run, source, patch_nodes(sets), metric, rng_for("test"))
    base, after = (
        by_hand(run, one.model(one.ids[:, :-1])[:, -LENGTH:])["difference"].mean()
        for one in (run, source)
    )
    for row, patches in enumerate(patch_nodes(sets)(run, source)):
        patched = by_hand(run, whole_pass(run, patches))["difference"].mean()
        expected = (patched - base) / (after - base)
        torch.testing.assert_close(found.effect.value[row], expected)
        assert found.effect.low[row] <= expected <= found.effect.high[row]


def test_patching_the_whole_last_residual_stream_has_effect_one(run, source):
    last = [node for node in run.residual_nodes if node.layer == 2]
    sets, metric = [last, last[:1]], loss(run.unpatched_answers)
    expected = torch.tensor([1.0, 0.0]).double()  # P0 predicts no answer token
    for one, other in ((run, source), (source, run)):
        effect, control = effects(
            one, other, patch_nodes(sets), metric, rng_for("test")
        )
        for values in effect:
            torch.testing.assert_close(values, expected)
        assert abs(control.value[0] - 1.0) > 0.01


def test_effects_of_one_answer_token_are_those_of_its_metric(run, source):
    patching, metric = patch_nodes([(run.nodes[-1],)]), loss(run.unpatched_answers)
    last = effects(
        run, source, patching, metric, rng_for("test"), tokens=slice(-1, None)
    )
    first = effects(run, source, patching, metric, rng_for("test"), tokens=slice(0, 1))
    assert last.effect.value != 0.0
    assert abs(first.effect.value) < 1e-12


def test_effects_of_a_run_on_itself_are_an_error(run):
    with pytest.raises(InputError, match="the same mean in both runs"):
        effects(run, run, patch_nodes([()]), loss(others(run)), rng_for("test"))


def test_effects_need_two_pairs(run):
    one = run.select(torch.tensor([0]))
    with pytest.raises(InputError, match="1 pairs of questions: effects need"):
        effects(one, one, patch_nodes([()]), loss(others(one)), rng_for("test"))


def test_logit_difference_needs_tokens_of_the_same_shape():
    with pytest.raises(InputError, match=r"answers \[2, 3\] and others \[2, 4\]"):
        logit_difference(torch.zeros(2, 3).long(), torch.zeros(2, 4).long())


def test_shares_have_exact_intervals():
    found = estimate(torch.tensor([[True] * 3 + [False] * 7]), rng_for("test"))
    assert (found.value.item(), found.low.item(), found.high.item()) == (
        0.3,
        *clopper_pearson(3, 10),
    )


def test_bootstrap_intervals_cover_the_mean_as_often_as_stated():
    """The coverage of 1000 means of 50 exponential values is close to 95 %."""
    values = torch.empty(1000, 50).double().exponential_(generator=rng_for("test"))
    found = estimate(values, rng_for("test"))
    covered = ((found.low < 1.0) & (found.high > 1.0)).double().mean()
    assert 0.90 < covered < 0.97


def test_estimates_in_units_are_ratios_of_means():
    unit = torch.tensor([1.0, 2.0, 6.0])
    found = estimate(torch.stack([unit * 2.0, unit.flip(0)]), rng_for("test"), unit)
    torch.testing.assert_close(found.value, torch.tensor([2.0, 1.0]).double())
    assert found.low[0] == found.high[0] == 2.0
    assert found.low[1] < 1.0 < found.high[1]
