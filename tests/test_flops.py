import pytest
import torch
from msgspec import structs
from synthetic import CATALOG
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mathprobe import estimates, flops
from mathprobe.arith.tokens import Layout
from mathprobe.losses import AnswerTokenLoss
from mathprobe.nets.seq2seq import Seq2Seq, SequenceConfig
from mathprobe.spec import LayerConfig
from mathprobe.studies.arith.models import build

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


@pytest.mark.parametrize("layers", [1, 3])
def test_the_flops_of_a_decoder_equal_those_counted_by_torch(layers):
    model = CATALOG.arith_model("smoke", next(iter(CATALOG.arith("smoke").rows)))
    network = structs.replace(model.network, layers=layers)
    model, layout = structs.replace(model, network=network), Layout(2)
    ids = torch.zeros(BATCH, layout.length, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        AnswerTokenLoss(layout.answer_length)(build(model), (ids,)).sum().backward()
    assert estimates.flops_per_example(model) == counter.get_total_flops() / BATCH


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
