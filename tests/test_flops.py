import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mathprobe import flops
from mathprobe.nets.seq2seq import Seq2Seq, Vocabulary
from mathprobe.spec import LayerConfig

BATCH = 3
SOURCE = Vocabulary(words=11, length=9, padding=1)
TARGET = Vocabulary(words=13, length=6, padding=1)


def counted(encoder, decoder, query="input"):
    """Count one update's products as torch sees them, per example."""
    network = Seq2Seq(SOURCE, TARGET, encoder, decoder, query)
    source, target = (
        torch.zeros(BATCH, side.length, dtype=torch.long) for side in (SOURCE, TARGET)
    )
    # The kernel that is made of plain products: the counter does not know every other.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(source, target).sum().backward()
    return counter.get_total_flops() / BATCH


@pytest.mark.parametrize("query", ["input", "attended"])
@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (
            LayerConfig(layers=1, width=8, heads=2),
            LayerConfig(layers=1, width=8, heads=2),
        ),
        (
            LayerConfig(layers=3, width=12, heads=3),
            LayerConfig(layers=2, width=8, heads=4),
        ),
    ],
)
def test_the_formula_counts_what_torch_counts(encoder, decoder, query):
    shape = SOURCE.length, TARGET.length, TARGET.words
    assert flops.training(encoder, decoder, *shape) == counted(encoder, decoder, query)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (
            LayerConfig(layers=1, width=8, heads=2),
            LayerConfig(layers=1, width=8, heads=2),
        ),
        (
            LayerConfig(layers=3, width=12, heads=3),
            LayerConfig(layers=2, width=8, heads=4),
        ),
    ],
)
def test_the_formula_counts_the_parameters_of_a_network(encoder, decoder):
    network = Seq2Seq(SOURCE, TARGET, encoder, decoder)
    sides = ((side.words, side.length) for side in (SOURCE, TARGET))
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert flops.parameters(encoder, decoder, *sides) == counted


def test_a_rate_is_measured_and_says_of_what():
    rate, how = flops.measured_rate("float32")
    assert rate > 1e6
    assert "matrices of float32, measured on " in how
