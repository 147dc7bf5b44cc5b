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


def torch_flops(encoder, decoder, query="input"):
    """Return the FLOPs of an update per example, as counted by torch."""
    network = Seq2Seq(SOURCE, TARGET, encoder, decoder, query)
    source, target = (
        torch.zeros(BATCH, side.max_length, dtype=torch.long)
        for side in (SOURCE, TARGET)
    )
    # The counter supports the math kernel, which consists of matrix products.
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
def test_the_formula_equals_the_flops_counted_by_torch(encoder, decoder, query):
    shape = SOURCE.max_length, TARGET.max_length, TARGET.vocab_size
    assert flops.seq2seq_training(encoder, decoder, *shape) == torch_flops(
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
def test_the_formula_equals_the_number_of_parameters(encoder, decoder):
    network = Seq2Seq(SOURCE, TARGET, encoder, decoder)
    sides = ((side.vocab_size, side.max_length) for side in (SOURCE, TARGET))
    expected = sum(parameter.numel() for parameter in network.parameters())
    assert flops.seq2seq_parameters(encoder, decoder, *sides) == expected


def test_a_measured_rate_is_described():
    rate, description = flops.measure_matmul_rate("float32")
    assert rate > 1e6
    assert "matrices of float32, measured on " in description
