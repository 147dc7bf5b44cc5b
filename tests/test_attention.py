import pytest
import torch
from networks import decoder, ids
from wired import wired

from mathprobe.arith.questions import encode_questions
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.interp.attention import attention_patterns, knock_out, mean_attention
from mathprobe.interp.nodes import Node
from mathprobe.interp.patches import Metric, Patch
from mathprobe.interp.patching import Run
from mathprobe.nets.hooks import patch
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


def test_attention_is_returned_for_each_question():
    questions = Run.greedy(decoder(), ids(15, 6, 9), 3)
    hook = "blocks.1.attn.hook_pattern"
    (found,) = attention_patterns(questions, [Node(5, 1, "head", 2)])
    assert torch.equal(found, questions.activations(hook)[hook][:, 2, 5])


def without_edges(questions, edges):
    """Return the logits of answers if the other edges are renormalised."""

    def renormalise(pattern):
        for node, keys in edges.items():
            row = pattern[:, node.index, node.position]
            row[:, list(keys)] = 0.0
            row /= row.sum(-1, keepdim=True)
        return pattern

    with patch(questions.model, "blocks.0.attn.hook_pattern", renormalise):
        return questions.model(questions.ids[:, :-1])[:, -3:]


def test_knock_out_renormalises_the_attention_to_the_other_keys():
    questions = Run.greedy(decoder(), ids(15, 6, 9), 3)
    runs = [
        {Node(4, 0, "head", 1): [0, 2]},
        {Node(6, 0, "head", 0): [6], Node(5, 0, "head", 3): [1]},
    ]
    metric = Metric(lambda logits: logits.logsumexp(-1))
    found = questions.measure([knock_out(edges) for edges in runs], metric)
    for edges, values in zip(runs, found, strict=True):
        expected = without_edges(questions, edges).logsumexp(-1)
        torch.testing.assert_close(values, expected)
        assert (values != questions.measure([[]], metric)[0]).any()


@torch.inference_mode()
@pytest.mark.parametrize("teacher_forced", [True, False])
@pytest.mark.parametrize("last", [3, 5, 7])
def test_patterns_of_another_run_can_be_patched(last, teacher_forced):
    model = decoder()
    base, other = (Run.greedy(model, ids(15, 6, 9, seed), 3) for seed in (0, 1))
    hook = "blocks.0.attn.hook_pattern"
    pattern = other.activations(hook)[hook]
    patches = [
        Patch(hook, 0, position, (head,), pattern[:, head, position])
        for position in range(last + 1)
        for head in range(4)
    ]

    def replace(x):
        x[:, :, : last + 1] = pattern[:, :, : last + 1, : x.shape[3]]
        return x

    (found,) = base.answers([patches], teacher_forced)
    tokens = base.ids.clone()
    for place in range(-3, 0):
        with patch(model, hook, replace):
            answer = model(tokens[:, :-1])[:, place].argmax(-1)
        tokens[:, place] = tokens[:, place] if teacher_forced else answer
        assert torch.equal(found[:, place], answer)
    assert not torch.equal(found, base.unpatched_answers)


@pytest.mark.parametrize("keys", [[6], [-1], [0, 1, 2, 3, 4, 5]])
def test_only_earlier_keys_can_be_knocked_out_and_not_all(keys):
    with pytest.raises(InputError, match=r"P05L0H1: .* keys are 0 to 5"):
        knock_out({Node.parse("P05L0H1"): keys})
