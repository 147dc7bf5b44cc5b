import torch
from msgspec import structs
from torch import nn
from torch.nn import functional

from mathprobe.studies.linalg.models import build
from mathprobe.studies.linalg.training import trainer


def learner(spec, seed=1):
    return trainer(spec, "cpu").learners[seed]


def changed(spec, **changes):
    return structs.replace(spec, **changes)


def test_a_seed_trains_with_others_as_it_does_alone(smoke_model):
    alone = trainer(changed(smoke_model, seeds=1), "cpu")
    together = trainer(changed(smoke_model, seeds=3), "cpu")
    for _ in range(3):
        alone.step()
        together.step()
    mine, same, other = (
        one.learners[seed].tensors()
        for one, seed in ((alone, 1), (together, 1), (together, 2))
    )
    assert all(torch.equal(mine[name], same[name]) for name in mine)
    assert not torch.equal(mine["loss_sum"], other["loss_sum"])


def test_an_update_is_that_of_plain_torch(smoke_model):
    """Mean cross-entropy, gradients clipped in norm, Adam with the schedule's rate."""
    ours = learner(smoke_model)
    network = build(smoke_model, 1)
    adam = torch.optim.Adam(network.parameters())
    for update in range(3):
        batch = smoke_model.schedule.batch
        source, target = (ids[update * batch :][:batch] for ids in ours.blocks(0))
        logits = network(source, target[:, :-1])
        loss = functional.cross_entropy(
            logits.transpose(1, 2), target[:, 1:], ignore_index=ours.objective.padding
        )
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), smoke_model.schedule.clip_norm)
        adam.param_groups[0]["lr"] = smoke_model.schedule.rate(update)
        adam.step()
        ours.step(update)
    expected, found = network.state_dict(), ours.network.state_dict()
    # Biases of keys change no output; Adam blows the rounding of their gradients up.
    for name in (name for name in expected if "key_value.bias" not in name):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


def test_low_precision_is_near_and_keeps_full_weights(smoke_model):
    full, low = (
        learner(smoke_model),
        learner(changed(smoke_model, precision="bfloat16")),
    )
    for update in range(5):
        full.step(update)
        low.step(update)
    assert all(p.dtype == torch.float32 for p in low.network.parameters())
    assert not torch.equal(low.loss_sum, full.loss_sum)
    torch.testing.assert_close(low.loss_sum, full.loss_sum, rtol=1e-2, atol=0.0)


def test_what_is_restored_goes_on_in_the_same_bits(smoke_model):
    one, other = learner(smoke_model), learner(smoke_model)
    for update in range(4):
        one.step(update)
        if update == 1:
            other.restore(one.tensors())
        elif update > 1:
            other.step(update)
    assert all(torch.equal(v, other.tensors()[k]) for k, v in one.tensors().items())


def test_blocks_are_drawn_once_and_none_after_the_end(smoke_model):
    schedule = structs.replace(smoke_model.schedule, examples=64 * 128)
    ours, drawn = learner(changed(smoke_model, schedule=schedule)), []
    blocks = ours.blocks
    ours.blocks = lambda number: drawn.append(number) or blocks(number)
    for update in range(128):
        ours.step(update)
    assert drawn == [0, 1]
