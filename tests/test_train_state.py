import torch
from msgspec import structs
from torch import nn
from torch.nn import functional

from mathprobe.studies.linalg.models import build
from mathprobe.studies.linalg.training import trainer


def train_state(spec, seed=1):
    return trainer(spec, "cpu").train_states[seed]


def changed(spec, **changes):
    return structs.replace(spec, **changes)


def test_a_seed_trained_with_others_equals_one_trained_alone(smoke_model):
    alone = trainer(changed(smoke_model, seeds=1), "cpu")
    together = trainer(changed(smoke_model, seeds=3), "cpu")
    for _ in range(3):
        alone.step()
        together.step()
    mine, same, other = (
        one.train_states[seed].state_dict()
        for one, seed in ((alone, 1), (together, 1), (together, 2))
    )
    assert all(torch.equal(mine[name], same[name]) for name in mine)
    assert not torch.equal(mine["loss_sum"], other["loss_sum"])


def test_an_update_equals_an_update_in_plain_torch(smoke_model):
    """Mean cross-entropy, clipping of the gradient norm, Adam, scheduled rate."""
    ours = train_state(smoke_model)
    network = build(smoke_model, 1)
    adam = torch.optim.Adam(network.parameters())
    for update in range(3):
        batch = smoke_model.schedule.batch
        source, target = (ids[update * batch :][:batch] for ids in ours.loader.draw(0))
        logits = network(source, target[:, :-1])
        loss = functional.cross_entropy(
            logits.transpose(1, 2),
            target[:, 1:],
            ignore_index=ours.loss_function.padding_id,
        )
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), smoke_model.schedule.clip_norm)
        adam.param_groups[0]["lr"] = smoke_model.schedule.learning_rate_at(update)
        adam.step()
        ours.step(update)
    expected, found = network.state_dict(), ours.network.state_dict()
    # Key biases do not affect the output; Adam amplifies rounding of their gradients.
    for name in (name for name in expected if "key_value.bias" not in name):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


def test_bfloat16_gives_a_similar_loss_and_float32_weights(smoke_model):
    full, low = (
        train_state(smoke_model),
        train_state(changed(smoke_model, precision="bfloat16")),
    )
    for update in range(5):
        full.step(update)
        low.step(update)
    assert all(p.dtype == torch.float32 for p in low.network.parameters())
    assert not torch.equal(low.loss_sum, full.loss_sum)
    torch.testing.assert_close(low.loss_sum, full.loss_sum, rtol=1e-2, atol=0.0)


def test_a_restored_state_continues_bitwise_identically(smoke_model):
    one, other = train_state(smoke_model), train_state(smoke_model)
    for update in range(4):
        one.step(update)
        if update == 1:
            other.load_state_dict(one.state_dict())
        elif update > 1:
            other.step(update)
    assert all(
        torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items()
    )


def test_each_block_is_drawn_once_and_none_after_the_end(smoke_model):
    schedule = structs.replace(smoke_model.schedule, examples=64 * 128)
    ours, drawn = train_state(changed(smoke_model, schedule=schedule)), []
    draw = ours.loader.draw
    ours.loader.draw = lambda number: drawn.append(number) or draw(number)
    for update in range(128):
        ours.step(update)
    assert drawn == [0, 1]
