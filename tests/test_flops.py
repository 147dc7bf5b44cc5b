import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mathprobe import flops
from mathprobe.nets.seq2seq import Seq2Seq, SequenceConfig
from mathprobe.spec import LayerConfig

BATCH = 3
SOURCE = SequenceConfig(vocab_size=11, max_length=9, padding_id=1)
TARGET = SequenceConfig(vocab_size=13, max_length=6, padding_id=1)


def counted(encoder, decoder, query="input"):
    """Count one update's products as torch sees them, per example."""
    network = Seq2Seq(SOURCE, TARGET, encoder, decoder, query)
    source, target = (
        torch.zeros(BATCH, side.max_length, dtype=torch.long)
        for side in (SOURCE, TARGET)
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
    shape = SOURCE.max_length, TARGET.max_length, TARGET.vocab_size
    assert flops.seq2seq_training(encoder, decoder, *shape) == counted(
        encoder, decoder, query
    )


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
    sides = ((side.vocab_size, side.max_length) for side in (SOURCE, TARGET))
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert flops.seq2seq_parameters(encoder, decoder, *sides) == counted


def test_a_rate_is_measured_and_says_of_what():
    rate, how = flops.measure_matmul_rate("float32")
    assert rate > 1e6
    assert "matrices of float32, measured on " in how
