import pytest
import torch
from networks import decoder, ids
from wired import wired

from mathprobe.arith import difficulty
from mathprobe.arith.questions import pose
from mathprobe.decoding import complete
from mathprobe.interp import ablate
from mathprobe.interp.ablate import ABLATIONS, replacements
from mathprobe.interp.edits import Run
from mathprobe.interp.nodes import Node
from mathprobe.seeds import stream

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
    return torch.randint(10, (2, count, n), generator=stream("test", "ablate", n))


@pytest.fixture(scope="module")
def run():
    return Run(wired("addition", 2), pose("addition", *numbers(2)), 4)


@pytest.fixture(scope="module")
def mean(run):
    return replacements(run, "mean", stream("test"))


def rng():
    return stream("test", "ablations")


def test_the_wired_decoder_answers_right(run):
    assert torch.equal(complete(run.model, run.ids, 4), run.expected)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_ablation_finds_exactly_the_circuit(run, ablation):
    values = replacements(run, ablation, rng())
    changed = ablate.without_nodes(run, values, run.nodes).any(-1).any(-1)
    hit = [node.name for node, c in zip(run.nodes, changed, strict=True) if c]
    assert hit == CIRCUIT


@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_only_positions_that_compute_are_useful(run, ablation):
    values = replacements(run, ablation, rng())
    changed = ablate.without_positions(run, values, run.positions).any(-1).any(-1)
    assert changed.nonzero().flatten().tolist() == [6, 7, 8]


def test_a_node_changes_the_answer_token_that_its_position_predicts(run, mean):
    nodes = [Node.of(name) for name in CIRCUIT]
    changed = ablate.without_nodes(run, mean, nodes).any(1)
    for node, tokens in zip(nodes, changed, strict=True):
        assert tokens.nonzero().flatten().tolist() == [node.position - 5]


def test_what_fails_without_a_carry_from_two_columns_below_are_cascades(run, mean):
    changed = ablate.without_nodes(run, mean, [Node.of("P06L0H2")])[0].any(-1)
    level = difficulty.classes("addition", *numbers(2))
    assert (level[changed] == difficulty.CLASSES.index("S2")).all()
    assert changed.sum() > 10


@pytest.mark.parametrize("ablation", ["mean", "zero", "resample"])
def test_the_circuit_suffices_and_less_does_not(run, ablation):
    values = replacements(run, ablation, rng())
    nodes = [Node.of(name) for name in CIRCUIT]
    assert not ablate.with_only(run, values, nodes).any()
    assert not ablate.with_only(run, values, run.nodes).any()
    for left_out in nodes:
        others = set(nodes) - {left_out}
        assert ablate.with_only(run, values, others).any(), left_out.name


def deep():
    return Run.of(decoder(layers=3), ids(15, 5, 9), 3)


def test_means_are_of_the_own_layer():
    run = deep()
    made = replacements(run, "mean", rng())
    seen = run.seen(*made)
    assert len(made) == 9
    for tap, value in made.items():
        assert torch.equal(value[0], seen[tap].mean(0))


def test_the_published_code_takes_means_of_the_first_layer_for_all():
    run = deep()
    own, first = (replacements(run, "mean", rng(), switch) for switch in (False, True))
    assert own.keys() == first.keys()
    for name in ("attn.hook_z", "mlp.hook_post", "hook_resid_post"):
        taps = [f"blocks.{layer}.{name}" for layer in range(3)]
        assert torch.equal(first[taps[0]], own[taps[0]])
        for tap in taps[1:]:
            assert torch.equal(first[tap], own[taps[0]])
            assert not torch.allclose(first[tap], own[tap])


def test_resampled_values_are_of_another_question():
    run = deep()
    tap = "blocks.1.attn.hook_z"
    value = replacements(run, "resample", rng())[tap]
    rows = run.seen(tap)[tap]
    source = (value[:, None] == rows[None]).flatten(2).all(2)
    assert (source.sum(1) == 1).all()
    assert not source.diagonal().any()
