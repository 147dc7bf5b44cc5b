import threading

import pytest
import torch

from mathprobe import checkpoint
from mathprobe.data_loader import BlockLoader, number_of_blocks
from mathprobe.errors import InputError
from mathprobe.studies.arith import training as arith
from mathprobe.studies.linalg import training as linalg


def numbered(number):
    return (torch.full((2,), number),)


def test_the_number_of_blocks_is_rounded_up():
    assert [number_of_blocks(batches) for batches in (1, 64, 65)] == [1, 1, 2]


def test_the_next_block_is_drawn_in_another_thread():
    threads, drawn = {}, threading.Event()

    def draw(number):
        threads[number] = threading.get_ident()
        if number == 1:
            drawn.set()
        return numbered(number)

    loader = BlockLoader(draw, 3, "cpu")
    loader.load(0)
    assert drawn.wait(timeout=60.0)  # although block 1 was not requested
    assert threading.get_ident() not in threads.values()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0), (1, 1, 0, 2)])
def test_blocks_can_be_loaded_in_any_order(order):
    loader = BlockLoader(numbered, 3, "cpu")
    assert [int(loader.load(number)[0][0]) for number in order] == [*order]


def test_no_block_is_drawn_after_the_last():
    drawn = []
    loader = BlockLoader(
        lambda number: drawn.append(number) or numbered(number), 2, "cpu"
    )
    loader.load(0), loader.load(1)
    loader._executor.shutdown()
    assert drawn == [0, 1]


def test_an_error_in_the_thread_is_raised_by_load():
    def draw(number):
        raise InputError("no examples")

    with pytest.raises(InputError, match="no examples"):
        BlockLoader(draw, 1, "cpu").load(0)


def test_the_time_spent_waiting_for_data_is_measured():
    release = threading.Event()

    def draw(number):
        release.wait(timeout=60.0)
        return numbered(number)

    loader = BlockLoader(draw, 1, "cpu")
    timer = threading.Timer(0.2, release.set)
    timer.start()
    loader.load(0)
    assert 0.15 < loader.seconds_waited < 60.0


@pytest.fixture
def models(catalog):
    decoders = catalog.arith("smoke")
    return {
        "linalg": linalg.trainer(
            catalog.model("smoke", "eigenvectors", "uniform_wigner", 2, "base"), "cpu"
        ),
        "arith": arith.trainer(decoders.model(next(iter(decoders.rows))), "cpu"),
    }


@pytest.mark.parametrize("study", ["linalg", "arith"])
def test_data_do_not_depend_on_the_number_of_threads(models, study):
    digests = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        states = models[study].train_states.values()
        digests.append([state.loader.digests() for state in states])
    torch.set_num_threads(1)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("study", ["linalg", "arith"])
def test_a_training_on_other_data_is_not_resumed(models, study, tmp_path):
    trainer = models[study]
    trainer.step()
    checkpoint.save_checkpoint(tmp_path, trainer.make_checkpoint())
    assert trainer.resume(tmp_path)
    state = next(iter(trainer.train_states.values()))
    state.loader.draw = lambda number: (torch.zeros(1),)
    del trainer.data_digests
    with pytest.raises(InputError, match="on other data"):
        trainer.resume(tmp_path)
