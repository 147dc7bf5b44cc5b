import pytest
import torch
from networks import decoder, ids
from wired import wired

from mathprobe.arith import complexity
from mathprobe.arith.questions import encode_questions
from mathprobe.decoding import greedy_answers
from mathprobe.errors import InputError
from mathprobe.interp import ablation
from mathprobe.interp.ablation import ABLATIONS, ablation_values
from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.seeds import rng_for

CIRCUIT = [
    "P06L0H1",
    "P06L0H2",
    "P06L0MLP",
    "P07L0H0",
    "P07L0H1",
    "P07L0MLP",
    "P08L0H0",
    "P08L0MLP",
]


def numbers(n, count=600):
    return torch.randint(10, (2, count, n), generator=rng_for("test", "ablate", n))


@pytest.fixture(scope="module")
def run():
    return Run(wired("addition", 2), encode_questions("addition", *numbers(2)), 4)


@pytest.fixture(scope="module")
def mean(run):
    return ablation_values(run, "mean", rng_for("test"))


def rng():
    return rng_for("test", "ablations")


def test_the_wired_decoder_answers_correctly(run):
    assert torch.equal(greedy_answers(run.model, run.ids, 4), run.unpatched_answers)


@pytest.mark.parametrize("method", ABLATIONS)
def test_every_ablation_finds_exactly_the_circuit(run, method):
    values = ablation_values(run, method, rng())
    changed = ablation.ablate_nodes(run, values, run.nodes).any(-1).any(-1)
    hit = [node.name for node, c in zip(run.nodes, changed, strict=True) if c]
    assert hit == CIRCUIT


@pytest.mark.parametrize("method", ["mean", "resample"])
def test_only_positions_that_compute_are_useful(run, method):
    values = ablation_values(run, method, rng())
    changed = ablation.ablate_positions(run, values, run.positions).any(-1).any(-1)
    assert changed.nonzero().flatten().tolist() == [6, 7, 8]


def test_a_node_changes_the_answer_token_that_its_position_predicts(run, mean):
    nodes = [Node.parse(name) for name in CIRCUIT]
    changed = ablation.ablate_nodes(run, mean, nodes).any(1)
    for node, tokens in zip(nodes, changed, strict=True):
        assert tokens.nonzero().flatten().tolist() == [node.position - 5]


def test_only_cascades_fail_without_the_head_two_columns_below(run, mean):
    changed = ablation.ablate_nodes(run, mean, [Node.parse("P06L0H2")])[0].any(-1)
    level = complexity.class_indices("addition", *numbers(2))
    assert (level[changed] == complexity.CLASSES.index("S2")).all()
    assert changed.sum() > 10


@pytest.mark.parametrize("method", ["mean", "zero", "resample"])
def test_the_circuit_is_sufficient_and_every_node_is_necessary(run, method):
    values = ablation_values(run, method, rng())
    nodes = [Node.parse(name) for name in CIRCUIT]
    assert not ablation.ablate_all_except(run, values, nodes).any()
    assert not ablation.ablate_all_except(run, values, run.nodes).any()
    for left_out in nodes:
        others = set(nodes) - {left_out}
        assert ablation.ablate_all_except(run, values, others).any(), left_out.name


def deep():
    return Run.greedy(decoder(layers=3), ids(15, 5, 9), 3)


def test_means_are_computed_per_layer():
    run = deep()
    values = ablation_values(run, "mean", rng())
    activations = run.activations(*values)
    assert len(values) == 9
    for hook, value in values.items():
        assert torch.equal(value[0], activations[hook].mean(0))


def test_first_layer_means_are_used_for_every_layer():
    run = deep()
    own, first = (
        ablation_values(run, "mean", rng(), switch) for switch in (False, True)
    )
    assert own.keys() == first.keys()
    for name in ("attn.hook_z", "mlp.hook_post", "hook_resid_post"):
        hooks = [f"blocks.{layer}.{name}" for layer in range(3)]
        assert torch.equal(first[hooks[0]], own[hooks[0]])
        for hook in hooks[1:]:
            assert torch.equal(first[hook], own[hooks[0]])
            assert not torch.allclose(first[hook], own[hook])


def test_resampled_values_come_from_another_question():
    run = deep()
    hook = "blocks.1.attn.hook_z"
    value = ablation_values(run, "resample", rng())[hook]
    rows = run.activations(hook)[hook]
    source = (value[:, None] == rows[None]).flatten(2).all(2)
    assert (source.sum(1) == 1).all()
    assert not source.diagonal().any()
    with pytest.raises(InputError, match="at least two questions"):
        ablation_values(run.select(torch.arange(len(run.ids)) == 0), "resample", rng())
