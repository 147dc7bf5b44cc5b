import pytest
import torch
from networks import PAD, decoder, ids, network

from mathprobe.decoding import greedy_answers, greedy_decode


@pytest.fixture(params=("input", "attended"))
def model(request):
    return network(request.param)


def test_cached_decoding_is_uncached_decoding(model):
    source = ids(23, 5, 9)
    source[2, 6:] = PAD
    cached = greedy_decode(model, source, 0, 7, chunk=2)
    slow = torch.zeros(5, 1, dtype=torch.long)
    for _ in range(6):
        logits = model(source, slow)
        slow = torch.cat([slow, logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(cached, slow)


def test_chunks_make_no_difference(model):
    source = ids(23, 5, 9)
    whole = greedy_decode(model, source, 0, 7)
    assert torch.equal(whole, greedy_decode(model, source, 0, 7, chunk=1))


def test_sequences_begin_with_the_start_and_have_the_length_asked_for(model):
    for length in (1, 2, 7):
        made = greedy_decode(model, ids(23, 3, 9), 4, length)
        assert made.shape == (3, length)
        assert (made[:, 0] == 4).all()


def test_decoding_keeps_no_gradients(model):
    greedy_decode(model, ids(23, 2, 9), 0, 4)
    assert all(p.grad is None for p in model.parameters())


def word_by_word(model, tokens, length):
    written = tokens[:, :-length]
    for _ in range(length):
        following = model(written)[:, -1:].argmax(-1)
        written = torch.cat([written, following], dim=1)
    return written[:, -length:]


@pytest.mark.parametrize("length", [1, 4, 8])
def test_a_corrected_guess_is_what_is_written_word_by_word(length):
    model, tokens = decoder(), ids(15, 40, 9)
    expected = word_by_word(model, tokens, length)
    assert expected.unique().numel() > 4
    assert torch.equal(greedy_answers(model, tokens, length), expected)
    guess = torch.cat([tokens[:, :-length], expected], dim=1)
    assert torch.equal(greedy_answers(model, guess, length), expected)
    assert torch.equal(greedy_answers(model, tokens, length, chunk=7), expected)


def test_a_right_guess_takes_one_pass_and_none_takes_more_than_its_tokens():
    model, tokens = decoder(), ids(15, 40, 9)
    right = torch.cat([tokens[:, :5], word_by_word(model, tokens, 4)], dim=1)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    greedy_answers(model, right, 4)
    assert len(passes) == 1
    greedy_answers(model, tokens, 4)
    assert 2 < len(passes) <= 1 + 4


def test_completing_leaves_the_tokens_as_they_were():
    model, tokens = decoder(), ids(15, 3, 9)
    before = tokens.clone()
    greedy_answers(model, tokens, 4)
    assert torch.equal(tokens, before)
