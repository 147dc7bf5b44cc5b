"""The second study: training of decoders, and their error rates."""

import pytest
import torch
from msgspec import structs
from test_training import NEVER, equal, same, stop_after
from torch.nn import functional
from torch.optim import lr_scheduler

from mathprobe import checkpoint
from mathprobe.arith import questions
from mathprobe.arith.complexity import CLASSES, class_indices
from mathprobe.arith.tokens import Layout
from mathprobe.errors import InputError
from mathprobe.seeds import rng_for
from mathprobe.spec import (
    INSERTION_MODES,
    AccuracyTest,
    ArithModel,
    DecoderConfig,
    DecoderSchedule,
    Enrichment,
    GrokFast,
    Insertion,
    Questions,
)
from mathprobe.studies.arith import models, training
from mathprobe.studies.arith.accuracy import ALL, accuracy, nines
from mathprobe.training import Interrupted

LAYOUT = Layout(2)
MIXED = {"addition": 0.25, "subtraction": 0.75}
GROKFAST = GrokFast(0.98, 2.0, True)
ENRICHMENT = Enrichment(0.6, 0.4, 0.01)


def described(layers=1, heads=2, shares=None, grokfast=None, insertion=None):
    return ArithModel(
        "small",
        Questions(2, shares or {"addition": 1.0}, "batches", ENRICHMENT),
        DecoderConfig(layers=layers, width=16, heads=heads, head_width=6),
        DecoderSchedule(
            **{"updates": 10, "batch": 8, "learning_rate": 1e-2, "warmup": 0.2},
            **{"start_factor": 0.01, "betas": [0.9, 0.98], "weight_decay": 0.1},
            **{"grokfast": grokfast, "curve_every": 40},
        ),
        20,
        7,
        insertion,
    )


PARENT = described()


def child(mode, every=3, **changes):
    insertion = Insertion(parent=PARENT, mode=mode, complete=True, rewrite_every=every)
    return described(2, 3, MIXED, insertion=insertion, **changes)


def prepared(spec):
    return training.trainer(
        spec, "cpu", models.build(PARENT) if spec.insertion else None
    )


SPECS = [PARENT, described(shares=MIXED, grokfast=GROKFAST), child(1), child(3)]
IDS = ["plain", "grokfast", "inserted", "frozen"]


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_a_resumed_training_is_bitwise_identical(spec, tmp_path):
    uninterrupted, first, second = prepared(spec), prepared(spec), prepared(spec)
    uninterrupted.run(tmp_path / "uninterrupted", NEVER)
    stop_after(first, 4)
    with pytest.raises(Interrupted, match="SIGTERM"):
        first.run(tmp_path, NEVER)
    assert second.resume(tmp_path)
    second.run(tmp_path, NEVER)
    assert same(uninterrupted, second)


def test_another_seed_gives_other_weights_and_data(tmp_path):
    one, other = prepared(PARENT), prepared(structs.replace(PARENT, seed=8))
    for trainer in (one, other):
        trainer.run(tmp_path, NEVER)
    assert not equal(
        one.train_states[7].state_dict(), other.train_states[8].state_dict()
    )
    assert not torch.equal(
        one.train_states[7].loader.draw(0)[0], other.train_states[8].loader.draw(0)[0]
    )


def test_each_curve_point_has_the_loss_of_every_token(tmp_path):
    trainer = prepared(described(shares=MIXED))
    trainer.run(tmp_path, NEVER)
    names = [f"loss_{name}" for name in ("A3", "A2", "A1", "A0")]
    assert list(trainer.columns[-4:]) == names
    points = [(row["examples"], row["test"]) for row in trainer.curve]
    assert points == [(e, o) for e in (40, 80) for o in MIXED]
    for row in trainer.curve:
        parts = [row[name] for name in names]
        assert row["loss"] == pytest.approx(sum(parts) / 4)
        assert len(set(parts)) == 4


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_every_specification_round_trips(spec):
    assert ArithModel.from_json(spec.to_json()) == spec


def test_learning_rates_match_torch_schedulers():
    """Linear warm-up from 1 % over a fifth of the updates, then a cosine to 0."""
    steps = structs.replace(PARENT.schedule, updates=23)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=steps.learning_rate)
    expected = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, 0.01, total_iters=4),
            lr_scheduler.CosineAnnealingLR(optimizer, 23 - 4),
        ],
        [4],
    )
    for update in range(23):
        assert steps.learning_rate_at(update) == pytest.approx(
            expected.get_last_lr()[0]
        )
        optimizer.step()
        expected.step()
    assert steps.learning_rate_at(0) == pytest.approx(0.01 * steps.learning_rate)


@pytest.mark.parametrize("keeps", [None, True, False])
def test_an_update_matches_plain_torch(keeps):
    """Cross-entropy of the answer and AdamW; GrokFast adds 2 times a mean gradient."""
    grokfast = None if keeps is None else GrokFast(0.9, 2.0, keeps)
    spec = described(grokfast=grokfast)
    ours, network = prepared(spec).train_states[7], models.build(spec)
    adam = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.1)
    means = {}
    for update in range(4):
        (ids,) = ours.loader.draw(0)
        batch = ids[8 * update :][:8]
        logits = network(batch[:, :-1])[:, -4:].double()
        adam.zero_grad()
        functional.cross_entropy(logits.transpose(1, 2), batch[:, -4:]).backward()
        for name, parameter in network.named_parameters():
            if grokfast:
                before = means.get(name, parameter.grad) if keeps else parameter.grad
                means[name] = 0.9 * before + 0.1 * parameter.grad
                parameter.grad += 2.0 * means[name]
        adam.param_groups[0]["lr"] = spec.schedule.learning_rate_at(update)
        adam.step()
        ours.step(update)
    expected, found = network.state_dict(), ours.network.state_dict()
    for name in expected:
        if "query_key_value.bias" not in name:  # key biases have no effect
            torch.testing.assert_close(
                found[name], expected[name], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("mode", INSERTION_MODES)
def test_each_mode_restores_its_frozen_weights(mode):
    trainer = prepared(child(mode, every=3))
    train_state, parent = trainer.train_states[7], models.build(PARENT).blocks[0]
    block = train_state.network.blocks[0]
    _, parts = INSERTION_MODES[mode]
    restored = {}
    train_state._run_update = lambda batch: restored.update(
        heads=torch.equal(block.attn.out.bias, parent.attn.out.bias),
        mlps=torch.equal(block.mlp.enter.weight, parent.mlp.enter.weight),
        norm=torch.equal(block.ln1.weight, parent.ln1.weight),
    )
    for update in range(7):
        trainer.step()
        everything = update == 0
        again = update % 3 == 0
        assert restored == {
            "heads": everything or (again and "heads" in parts),
            "mlps": everything or (again and "mlps" in parts),
            "norm": everything,
        }
        with torch.no_grad():
            for parameter in block.parameters():
                parameter += 0.01


@pytest.mark.parametrize(
    ("spec", "parent", "message"),
    [
        (PARENT, PARENT, "small has no insertion"),
        (child(1), None, "small needs its parent small"),
    ],
)
def test_a_missing_or_unexpected_parent_is_an_error(spec, parent, message):
    with pytest.raises(InputError, match=message):
        training.trainer(spec, "cpu", parent and models.build(parent))


def test_saved_weights_are_loaded_unchanged(tmp_path):
    trainer = prepared(child(1))
    trainer.run(tmp_path, NEVER)
    train_state = trainer.train_states[7]
    path = tmp_path / "model.safetensors"
    checkpoint.save_model(path, {7: train_state.network}, {"spec": child(1).to_dict()})
    again = models.build(child(1))
    facts = checkpoint.load_model(path, {7: again})
    assert ArithModel.from_dict(facts["spec"]) == child(1)
    assert equal(again.state_dict(), train_state.network.state_dict())


def wrong_where_units_are_nine(model, ids, length):
    """Return correct answers, but malformed ones if the first operand ends in 9."""
    answers = ids[:, -length:].clone()
    answers[ids[:, 1] == 9] = LAYOUT.length
    return answers


def test_fails_are_counted_by_class(monkeypatch):
    monkeypatch.setattr(models, "greedy_answers", wrong_where_units_are_nine)
    spec, test = described(shares=MIXED), AccuracyTest(1000, 8, ENRICHMENT)
    rows = list(accuracy(spec, models.build(spec), test))
    one = questions.single_operation("addition", 2, ENRICHMENT)
    generators = [
        rng_for("arith", "accuracy", "addition", 2, block) for block in range(2)
    ]
    ids = torch.cat([questions.sample(one, rng, 64, 8) for rng in generators])[:1000]
    parts = LAYOUT.split(ids)
    level = class_indices("addition", parts.first, parts.second)
    for row in (row for row in rows if row["operation"] == "addition"):
        mine = torch.ones(1000, dtype=torch.bool)
        if row["class"] != ALL:
            mine = level == CLASSES.index(row["class"])
        fails = int((parts.first[mine][:, 1] == 9).sum())
        found = row["questions"], row["fails"], row["malformed"]
        assert found == (int(mine.sum()), fails, fails)
        assert row["low"] <= row["per_million"] <= row["high"]
    every = [row for row in rows if row["class"] == ALL]
    assert [row["operation"] for row in every] == list(MIXED)
    assert all(row["questions"] == 1000 and row["fails"] > 0 for row in every)


@pytest.mark.parametrize(
    ("fails", "asked", "expected"),
    [
        *((1, 10**6, 6), (10, 10**6, 5), (11, 10**6, 4), (1000, 10**6, 3)),
        *((10_000, 10**6, 2), (0, 10**6, 6), (0, 20_000, 4), (3, 20_000, 3)),
        (10**6, 10**6, 0),
    ],
)
def test_nines_follow_the_paper(fails, asked, expected):
    assert nines(fails, asked) == expected


def test_training_learns(tmp_path):
    steps = structs.replace(PARENT.schedule, updates=200, batch=64, curve_every=1280)
    trainer = prepared(structs.replace(PARENT, schedule=steps))
    trainer.run(tmp_path, NEVER)
    first, last = trainer.curve[0], trainer.curve[-1]
    assert last["loss"] < 0.7 * first["loss"]
