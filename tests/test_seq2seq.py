import pytest
import torch
from networks import PAD, TARGET, ids, network
from torch.nn import functional

from mathprobe.decoding import greedy_decode
from mathprobe.nets.seq2seq import Seq2Seq, SequenceConfig
from mathprobe.spec import LayerConfig


@pytest.fixture(params=("input", "attended"))
def model(request):
    return network(request.param)


def test_logits_have_the_target_vocabulary(model):
    logits = model(ids(23, 3, 9), ids(17, 3, 6))
    assert logits.shape == (3, 6, 17)


def test_a_later_target_token_changes_no_earlier_logit(model):
    source, target = ids(23, 2, 9), ids(17, 2, 7)
    changed = target.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 17
    before, after = model(source, target), model(source, changed)
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=0, atol=1e-12)
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_the_output_depends_on_every_source_token(model):
    source, target = ids(23, 1, 9), ids(17, 1, 3)
    before = model(source, target)
    for position in range(9):
        changed = source.clone()
        changed[0, position] = 2 + (changed[0, position] - 1) % 21
        assert not torch.allclose(before, model(changed, target))


def test_padding_does_not_change_the_logits(model):
    source, target = ids(23, 2, 6), ids(17, 2, 5)
    padded = functional.pad(source, (0, 3), value=PAD)
    plain = model(source, target)
    torch.testing.assert_close(plain, model(padded, target))


def test_sequences_of_fixed_length_have_no_mask():
    model = Seq2Seq(TARGET, TARGET, LayerConfig(1, 8, 2), LayerConfig(1, 8, 2))
    assert model.source_mask(ids(17, 2, 7)) is None


def test_the_two_queries_give_different_logits():
    source, target = ids(23, 2, 9), ids(17, 2, 5)
    logits = [network(query)(source, target) for query in ("input", "attended")]
    assert not torch.allclose(*logits)


def test_the_query_of_a_single_layer_depends_only_on_its_own_token():
    """With query="input", cross-attention of one layer cannot depend on the prefix."""
    is_unchanged = []
    for query in ("input", "attended"):
        model = network(query, decoder=(1, 16, 2))
        queries = []
        model.decoder[0].cross.query.register_forward_pre_hook(
            lambda module, inputs, queries=queries: queries.append(inputs[0])
        )
        target = ids(17, 1, 5)
        changed = target.clone()
        changed[0, 0] = (changed[0, 0] + 1) % 17
        model(ids(23, 1, 9), target)
        model(ids(23, 1, 9), changed)
        is_unchanged.append(torch.allclose(queries[0][:, 1:], queries[1][:, 1:]))
    assert is_unchanged == [True, False]


def test_the_output_layer_is_tied_to_the_target_embedding():
    names = dict(network().named_parameters())
    assert sum(tuple(p.shape) == (17, 16) for p in names.values()) == 1


@pytest.mark.parametrize(
    ("encoder", "decoder", "per_layer"),
    [((1, 512, 8), (1, 512, 8), (12 * 512**2 + 13 * 512, 16 * 512**2 + 19 * 512))],
)
def test_layers_have_the_published_number_of_parameters(encoder, decoder, per_layer):
    model = network(encoder=encoder, decoder=decoder)
    counts = [
        sum(p.numel() for p in side.parameters())
        for side in (model.encoder, model.decoder)
    ]
    assert tuple(counts) == per_layer


def test_embeddings_are_initialised_as_published():
    model = Seq2Seq(
        SequenceConfig(4000, 9, PAD),
        TARGET,
        LayerConfig(1, 64, 4),
        LayerConfig(1, 64, 4),
    )
    table = model.source_embedding.tokens.weight
    assert table[PAD].abs().max() == 0
    assert abs(table.std() - 64**-0.5) < 1e-3


def test_a_network_overfits_eight_examples():
    model = network().float()
    source, target = ids(23, 8, 9), ids(17, 8, 7)
    target[:, 0] = 0
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        logits = model(source, target[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert torch.equal(greedy_decode(model, source, 0, 7), target)
