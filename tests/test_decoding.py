import pytest
import torch
from networks import PAD, ids, network

from mathprobe.decoding import greedy
from mathprobe.nets.seq2seq import QUERIES


@pytest.fixture(params=QUERIES)
def model(request):
    return network(request.param)


def test_cached_decoding_is_uncached_decoding(model):
    source = ids(23, 5, 9)
    source[2, 6:] = PAD
    cached = greedy(model, source, 0, 7, chunk=2)
    slow = torch.zeros(5, 1, dtype=torch.long)
    for _ in range(6):
        logits = model(source, slow, model.source_mask(source))
        slow = torch.cat([slow, logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(cached, slow)


def test_chunks_make_no_difference(model):
    source = ids(23, 5, 9)
    whole = greedy(model, source, 0, 7)
    assert torch.equal(whole, greedy(model, source, 0, 7, chunk=1))


def test_sequences_begin_with_the_start_and_have_the_length_asked_for(model):
    for length in (1, 2, 7):
        made = greedy(model, ids(23, 3, 9), 4, length)
        assert made.shape == (3, length)
        assert (made[:, 0] == 4).all()


def test_decoding_keeps_no_gradients(model):
    greedy(model, ids(23, 2, 9), 0, 4)
    assert all(p.grad is None for p in model.parameters())
