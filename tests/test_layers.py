import math

import pytest
import torch

from mathprobe.nets.layers import NORM_EPSILON, Attention, Embedding, FeedForward, norm


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return Attention(12, 3, memory_width=20).double()


def by_hand(attention, x, memory):
    """Attend as the definition says, head by head."""
    keys, values = attention.key_value(memory).chunk(2, dim=-1)
    queries = attention.query(x)
    seen = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = queries[..., part] @ keys[..., part].mT / math.sqrt(4)
        seen.append(scores.softmax(-1) @ values[..., part])
    return attention.out(torch.cat(seen, dim=-1))


def test_attention_is_what_its_definition_says(attention):
    x, memory = (torch.randn(2, 5, width, dtype=torch.float64) for width in (12, 20))
    made = attention(x, attention.project_key_values(memory))
    torch.testing.assert_close(made, by_hand(attention, x, memory))


def test_what_the_mask_hides_is_not_seen(attention):
    x, memory = (torch.randn(2, 5, width, dtype=torch.float64) for width in (12, 20))
    mask = torch.tensor([True, True, True, False, False]).expand(2, 1, 1, 5)
    hidden = attention(x, attention.project_key_values(memory), mask)
    torch.testing.assert_close(hidden, by_hand(attention, x, memory[:, :3]))


def test_the_hidden_layer_is_four_times_as_wide():
    first, _, last = FeedForward(8)
    assert (first.out_features, last.in_features, last.out_features) == (32, 32, 8)


def test_norms_have_the_published_epsilon():
    assert norm(8).eps == NORM_EPSILON == 1e-12


def test_an_embedding_is_normalised_and_knows_its_place():
    torch.manual_seed(0)
    embedding = Embedding(9, 6, 16, padding_id=1)
    whole = embedding(torch.tensor([[4, 5, 4]]))
    torch.testing.assert_close(whole.mean(-1), torch.zeros(1, 3), atol=1e-6, rtol=0)
    assert not torch.allclose(whole[:, 0], whole[:, 2])
    later = embedding(torch.tensor([[4]]), start=2)
    torch.testing.assert_close(later, whole[:, 2:])
