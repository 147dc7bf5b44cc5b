import itertools
import os
import signal

import pytest
import torch
from msgspec import structs

from mathprobe.errors import InputError
from mathprobe.studies.linalg import training
from mathprobe.training import Interrupted

NEVER = 1e9  # seconds


@pytest.fixture
def fresh(smoke_model):
    def make(**changes):
        return training.trainer(structs.replace(smoke_model, **changes), "cpu")

    return make


def same(one, other):
    seeds = [one.train_states[seed].state_dict() for seed in one.train_states]
    others = [other.train_states[seed].state_dict() for seed in one.train_states]
    return one.curve == other.curve and all(map(equal, seeds, others))


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def stop_after(trainer, updates):
    """Send SIGTERM to the process while the training makes this update."""
    step = trainer.step

    def stopping():
        step()
        if trainer.updates == updates:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.step = stopping


def test_a_training_is_bitwise_reproducible(fresh, tmp_path):
    one, other = fresh(), fresh()
    for trainer in (one, other):
        trainer.run(tmp_path, NEVER)
    assert same(one, other)
    assert os.listdir(tmp_path) == []


def test_another_precision_gives_another_result(fresh, tmp_path):
    one, other = fresh(), fresh(precision="bfloat16")
    for trainer in (one, other):
        trainer.run(tmp_path, NEVER)
    assert not same(one, other)


@pytest.mark.parametrize("updates", [1, 4, 5, 9])
def test_a_resumed_training_is_bitwise_identical(fresh, tmp_path, updates):
    whole, first, second = fresh(), fresh(), fresh()
    whole.run(tmp_path / "whole", NEVER)
    stop_after(first, updates)
    with pytest.raises(Interrupted, match="SIGTERM"):
        first.run(tmp_path, NEVER)
    assert second.resume(tmp_path)
    assert second.updates == updates
    second.run(tmp_path, NEVER)
    assert same(whole, second)
    assert second.summary()["attempts"] == len(second.history) == 2


def test_checkpoints_are_saved_during_a_training(fresh, tmp_path):
    fresh().run(tmp_path, 0.0)
    assert sorted(os.listdir(tmp_path))[-1] == "000000000010.safetensors"
    assert not fresh().resume(tmp_path / "elsewhere")


def test_a_changed_specification_is_refused_with_the_difference(fresh, tmp_path):
    fresh().run(tmp_path, 0.0)
    with pytest.raises(InputError, match="seeds: expected 1, found 2"):
        fresh(seeds=1).resume(tmp_path)


def test_the_curve_has_a_row_for_each_evaluation_seed_and_test(fresh, tmp_path):
    trainer = fresh()
    trainer.run(tmp_path, NEVER)
    points = [(row["examples"], row["seed"], row["test"]) for row in trainer.curve]
    distributions = ("semicircle", "abs_semicircle")
    assert points == list(itertools.product((320, 640), (1, 2), distributions))
    assert all(row["loss"] > 0 for row in trainer.curve)


def test_a_training_stops_when_all_seeds_are_accurate_enough(fresh, tmp_path):
    def accurate(accuracies):
        trainer = fresh(schedule=halting)
        values = iter(accuracies)
        trainer.compute_metrics = lambda network: [
            {"test": "laplace", "accuracy": next(values), "malformed": 0.0}
        ]
        trainer.run(tmp_path / str(accuracies), NEVER)
        return trainer.updates

    whole = fresh().schedule
    halting = structs.replace(whole, stop_accuracy=0.7, curve_every=128)
    assert accurate([0.6, 0.8, 0.7, 0.9]) == 4
    assert accurate([0.9, 0.6] * 5) == whole.updates


def test_a_loss_that_is_not_finite_stops_the_training(fresh, tmp_path):
    trainer = fresh()
    with torch.no_grad():
        trainer.train_states[1].network.output_bias.fill_(torch.nan)
    with pytest.raises(InputError, match="not finite after 5 updates"):
        trainer.run(tmp_path, NEVER)


def test_a_checkpoint_that_is_not_finite_is_never_saved(fresh, tmp_path):
    trainer = fresh()
    step = trainer.step

    def step_with_overflow():
        step()
        if trainer.updates == 3:
            with torch.no_grad():
                trainer.train_states[1].network.output_bias[7] = torch.inf

    trainer.step = step_with_overflow
    with pytest.raises(InputError, match="files and train again"):
        trainer.run(tmp_path, 0.0)
    resumed = fresh()
    assert resumed.resume(tmp_path)
    assert resumed.updates == 2


def test_progress_is_reported(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr("mathprobe.training.PROGRESS_SECONDS", -1.0)
    reports = []
    fresh().run(tmp_path, NEVER, reports.append)
    assert [progress.examples for progress in reports] == [64 * k for k in range(1, 11)]


def test_energy_is_the_sum_over_attempts(fresh, tmp_path):
    def metered(*readings):
        trainer = fresh()
        trainer._read_energy, trainer._joules_at_start = iter(readings).__next__, 100.0
        return trainer

    first, second = metered(130.0), metered(101.0, 102.0)
    stop_after(first, 3)
    with pytest.raises(Interrupted):
        first.run(tmp_path, NEVER)
    second.resume(tmp_path)
    second.run(tmp_path, NEVER)
    assert second.summary()["joules"] == 30.0 + 1.0
    assert fresh().summary()["joules"] is None


def test_a_clock_set_back_has_no_effect(fresh, tmp_path, monkeypatch):
    days = itertools.count(20_000, -1)
    monkeypatch.setattr("time.time", lambda: 86_400.0 * next(days))
    one, other = fresh(), fresh()
    one.run(tmp_path / "one", 0.0)
    monkeypatch.undo()
    other.run(tmp_path / "other", 0.0)
    assert same(one, other)
    assert 0.0 < one.seconds < 60.0


def test_signal_handlers_are_restored(fresh, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    fresh().run(tmp_path, NEVER)
    assert signal.getsignal(signal.SIGTERM) is before


def test_training_reduces_the_loss(smoke_model, fresh, tmp_path):
    longer = structs.replace(smoke_model.schedule, examples=6400, curve_every=3200)
    trainer = fresh(schedule=longer)
    trainer.run(tmp_path, NEVER)
    first, last = trainer.curve[0], trainer.curve[-1]
    assert last["loss"] < 0.8 * first["loss"]
