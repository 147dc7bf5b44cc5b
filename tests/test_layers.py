import math

import pytest
import torch

from mathprobe.nets.hooks import capture
from mathprobe.nets.layers import NORM_EPSILON, Attention, Embedding, FeedForward, norm


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return Attention(12, 3, memory_width=20).double()


def plain_attention(attention, x, memory):
    """Compute attention from its definition, head by head."""
    keys, values = attention.key_value(memory).chunk(2, dim=-1)
    queries = attention.query(x)
    outputs = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = queries[..., part] @ keys[..., part].mT / math.sqrt(4)
        outputs.append(scores.softmax(-1) @ values[..., part])
    return attention.out(torch.cat(outputs, dim=-1))


def test_attention_equals_its_definition(attention):
    x, memory = (torch.randn(2, 5, width, dtype=torch.float64) for width in (12, 20))
    output = attention(x, attention.project_key_values(memory))
    torch.testing.assert_close(output, plain_attention(attention, x, memory))


def test_masked_positions_are_not_attended_to(attention):
    x, memory = (torch.randn(2, 5, width, dtype=torch.float64) for width in (12, 20))
    mask = torch.tensor([True, True, True, False, False]).expand(2, 1, 1, 5)
    masked = attention(x, attention.project_key_values(memory), mask)
    torch.testing.assert_close(masked, plain_attention(attention, x, memory[:, :3]))


@pytest.mark.parametrize("causal", [False, True])
def test_a_hook_at_the_pattern_changes_no_output(attention, causal):
    """The pattern is computed only for a hook; its rows sum to one."""
    x, memory = (torch.randn(2, 5, width, dtype=torch.float64) for width in (12, 20))
    mask = None if causal else torch.tensor([1, 1, 0, 1, 1]).bool()[None, None, None]
    inputs = x, attention.project_key_values(memory), mask, causal
    with capture(attention, "hook_pattern", "hook_z") as found:
        hooked = attention(*inputs)
    torch.testing.assert_close(hooked, attention(*inputs))
    pattern = found["hook_pattern"]
    torch.testing.assert_close(pattern.sum(-1), torch.ones(2, 3, 5).double())
    unseen = pattern.triu(1) if causal else pattern[..., 2]
    assert (unseen == 0.0).all()
    assert found["hook_z"].shape == (2, 5, 3, 4)


def test_the_hidden_layer_has_four_times_the_width():
    first, *_, last = FeedForward(8)
    assert (first.out_features, last.in_features, last.out_features) == (32, 32, 8)


def test_norms_have_the_published_epsilon():
    assert norm(8).eps == NORM_EPSILON == 1e-12


def test_an_embedding_is_normalised_and_depends_on_the_position():
    torch.manual_seed(0)
    embedding = Embedding(9, 6, 16, padding_id=1)
    whole = embedding(torch.tensor([[4, 5, 4]]))
    torch.testing.assert_close(whole.mean(-1), torch.zeros(1, 3), atol=1e-6, rtol=0)
    assert not torch.allclose(whole[:, 0], whole[:, 2])
    last = embedding(torch.tensor([[4]]), start=2)
    torch.testing.assert_close(last, whole[:, 2:])
