import math

import pytest
import torch
from networks import SOURCE, TARGET, decoder, ids, network
from torch.nn import functional

from mathprobe.losses import AnswerTokenLoss, Seq2SeqLoss

ANSWER = 4


class Confident(torch.nn.Module):
    """Predict token + 1 (mod 15): its logit is `lead`, the 14 other logits are 0."""

    def __init__(self, lead):
        super().__init__()
        self.lead = lead

    def forward(self, ids, output_from):
        following = (ids[:, output_from:] + 1) % 15
        return self.lead * functional.one_hot(following, 15).float()


def test_the_answer_loss_is_the_cross_entropy_of_each_token():
    model, tokens = decoder(), ids(15, 6, 9)
    losses = AnswerTokenLoss(ANSWER)(model, (tokens,))
    logits = model(tokens)  # of the next token, at each position
    for index, loss in enumerate(losses.tolist()):
        token = 9 - ANSWER + index
        expected = functional.cross_entropy(logits[:, token - 1], tokens[:, token])
        assert loss == pytest.approx(expected.item())


def test_losses_near_one_billionth_are_precise():
    tokens = (torch.arange(9) + torch.arange(5)[:, None]) % 15
    losses = AnswerTokenLoss(ANSWER)(Confident(24.0), (tokens,))
    assert losses.tolist() == pytest.approx([math.log1p(14 * math.exp(-24.0))] * ANSWER)
    assert 1e-10 < losses.max() < 1e-9


@pytest.mark.parametrize(
    ("loss_function", "model", "batch"),
    [
        (AnswerTokenLoss(ANSWER), decoder(), (ids(15, 7, 9),)),
        (
            Seq2SeqLoss(TARGET.padding_id, "float32"),
            network(),
            (ids(SOURCE.vocab_size, 7, 9), ids(TARGET.vocab_size, 7, 7, seed=1)),
        ),
    ],
    ids=["answer tokens", "seq2seq"],
)
def test_losses_have_the_declared_shape(loss_function, model, batch):
    losses = loss_function(model, batch)
    assert losses.shape == loss_function.shape
    assert (losses > 0).all()
