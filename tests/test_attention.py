import pytest
import torch
from networks import decoder, ids
from wired import wired

from mathprobe.arith.questions import encode_questions
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.interp.attention import mean_attention
from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.seeds import rng_for


def run(n, count=20):
    first, second = torch.randint(10, (2, count, n), generator=rng_for("test"))
    return Run(wired("addition", n), encode_questions("addition", first, second), n + 2)


@pytest.mark.parametrize("n", [2, 3])
def test_circuit_heads_attend_only_to_their_column(n):
    layout, questions = Layout(n), run(n)
    for k in range(n + 1):
        for head in range(3):
            node = Node(layout.position(f"A{k}") - 1, 0, "head", head)
            shares = mean_attention(questions, [node])[0]
            column = k - head
            expected = torch.zeros_like(shares)
            names = [f"D{column}", f"D'{column}"] if 0 <= column < n else ["OPR"]
            for name in names:
                expected[layout.position(name)] = 1 / len(names)
            torch.testing.assert_close(shares, expected)


def test_attention_is_averaged_over_questions_and_sums_to_one():
    questions = Run.greedy(decoder(), ids(15, 6, 9), 3)
    heads = [node for node in questions.nodes if node.kind == "head"]
    shares = mean_attention(questions, heads)
    torch.testing.assert_close(shares.sum(1), torch.ones(len(heads)).double())
    cache = questions.activations("blocks.1.attn.hook_pattern")[
        "blocks.1.attn.hook_pattern"
    ]
    row = heads.index(Node(5, 1, "head", 2))
    torch.testing.assert_close(shares[row], cache[:, 2, 5].mean(0))
    assert (shares[row, :6] > 0).all()
    assert (shares[row, 6:] == 0).all()


def test_no_heads_give_an_empty_result():
    assert mean_attention(run(2), []).shape == (0, 9)


def test_a_node_that_is_not_a_head_is_an_error():
    with pytest.raises(InputError, match="P05L0MLP has no attention pattern"):
        mean_attention(run(2), [Node.parse("P05L0MLP")])
