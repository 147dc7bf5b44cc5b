import pytest
import torch
from networks import PAD, decoder, ids, network

from mathprobe.decoding import greedy_answers, greedy_decode


@pytest.fixture(params=("input", "attended"))
def model(request):
    return network(request.param)


def test_decoding_with_and_without_a_kv_cache_is_equal(model):
    source = ids(23, 5, 9)
    source[2, 6:] = PAD
    cached = greedy_decode(model, source, 0, 7, chunk=2)
    uncached = torch.zeros(5, 1, dtype=torch.long)
    for _ in range(6):
        logits = model(source, uncached)
        uncached = torch.cat([uncached, logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(cached, uncached)


def test_the_chunk_size_does_not_change_the_result(model):
    source = ids(23, 5, 9)
    whole = greedy_decode(model, source, 0, 7)
    assert torch.equal(whole, greedy_decode(model, source, 0, 7, chunk=1))


def test_sequences_have_the_start_token_and_the_requested_length(model):
    for length in (1, 2, 7):
        decoded = greedy_decode(model, ids(23, 3, 9), 4, length)
        assert decoded.shape == (3, length)
        assert (decoded[:, 0] == 4).all()


def test_decoding_computes_no_gradients(model):
    greedy_decode(model, ids(23, 2, 9), 0, 4)
    assert all(p.grad is None for p in model.parameters())


def token_by_token(model, tokens, length):
    prefix = tokens[:, :-length]
    for _ in range(length):
        following = model(prefix)[:, -1:].argmax(-1)
        prefix = torch.cat([prefix, following], dim=1)
    return prefix[:, -length:]


@pytest.mark.parametrize("length", [1, 4, 8])
def test_a_corrected_guess_equals_decoding_token_by_token(length):
    model, tokens = decoder(), ids(15, 40, 9)
    expected = token_by_token(model, tokens, length)
    assert expected.unique().numel() > 4
    assert torch.equal(greedy_answers(model, tokens, length), expected)
    guess = torch.cat([tokens[:, :-length], expected], dim=1)
    assert torch.equal(greedy_answers(model, guess, length), expected)
    assert torch.equal(greedy_answers(model, tokens, length, chunk=7), expected)


def test_a_correct_guess_takes_one_pass_and_others_two_and_one_per_later_token():
    model, tokens = decoder(), ids(15, 40, 9)
    correct = torch.cat([tokens[:, :5], token_by_token(model, tokens, 4)], dim=1)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    greedy_answers(model, correct, 4)
    assert len(passes) == 1
    greedy_answers(model, tokens, 4)
    assert 3 < len(passes) <= 1 + 2 + 3


def test_decoding_does_not_change_its_input():
    model, tokens = decoder(), ids(15, 3, 9)
    before = tokens.clone()
    greedy_answers(model, tokens, 4)
    assert torch.equal(tokens, before)
