"""On CUDA: tokens and scores equal those of the CPU, and trainings are reproducible."""

import pytest
import torch
from msgspec import structs

from mathprobe import checkpoint
from mathprobe.arith import questions
from mathprobe.arith.complexity import class_indices
from mathprobe.arith.tokens import Layout
from mathprobe.linalg import distributions
from mathprobe.linalg.codec import MatrixCodec
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.seeds import rng_for
from mathprobe.spec import Enrichment, Questions
from mathprobe.studies.arith import models, training
from mathprobe.studies.linalg.data import draw
from mathprobe.studies.linalg.training import trainer as prepare

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no CUDA device"
)
NEVER = 1e9  # seconds


def drawn(device):
    wide = 10.0 ** torch.randint(-8, 8, (500, 1, 1), generator=rng_for("cuda", 1))
    return (wide * torch.randn(500, 4, 4, generator=rng_for("cuda", 2))).to(device)


@pytest.mark.parametrize("name", ENCODINGS)
def test_tokens_and_values_agree_with_the_cpu(name):
    codec = MatrixCodec(ENCODINGS[name](digits=3))
    here, there = (
        codec.encode(drawn("cpu").double()),
        codec.encode(drawn("cuda").double()),
    )
    assert torch.equal(here, there.cpu())
    values, ok = codec.decode(there, 4, 4)
    assert ok.all()
    assert torch.equal(values.cpu(), codec.decode(here, 4, 4)[0])


def test_drawn_eigenvalues_are_the_eigenvalues_of_the_matrices():
    rng = rng_for("cuda", "mixture", device="cuda")
    matrix, chosen = distributions.draw_matrices(
        "laplace+uniform", {}, rng, 500, (5, 5)
    )
    assert matrix.is_cuda
    found = torch.linalg.eigvalsh(matrix)
    torch.testing.assert_close(chosen.sort().values, found, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("task", TASKS)
def test_scores_agree_with_the_cpu(task, catalog):
    distribution = "laplace" if TASKS[task].symmetric else "uniform_coefficients"
    data = catalog.testset("smoke", task, distribution, 4).data
    matrix, answer, _ = draw(data, rng_for("cuda", task), 200)
    guess = answer * (1.0 + 0.05 * torch.randn(answer.shape, generator=rng_for("cuda")))
    here = relative_error(task, matrix, answer, guess)
    there = relative_error(task, *(x.cuda() for x in (matrix, answer, guess)))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("operation", questions.OPERATIONS)
@pytest.mark.parametrize("mixing", questions.MIXINGS)
def test_answers_and_complexity_classes_agree_with_the_cpu(operation, mixing):
    settings = Questions(20, {operation: 1.0}, mixing, Enrichment(0.5, 0.4, 0.01))
    ids = questions.sample(settings, rng_for("cuda", operation, device="cuda"), 9, 64)
    assert ids.is_cuda
    first, _, second, _ = Layout(20).split(ids)
    here = questions.encode_questions(operation, first.cpu(), second.cpu())
    assert torch.equal(ids.cpu(), here)
    expected = class_indices(operation, first.cpu(), second.cpu())
    assert torch.equal(class_indices(operation, first, second).cpu(), expected)


def trainer(spec, **changes):
    return prepare(structs.replace(spec, **changes), "cuda")


def same(one, other):
    one.synchronize()
    other.synchronize()
    expected = other.state_dict()
    return all(
        torch.equal(tensor, expected[k]) for k, tensor in one.state_dict().items()
    )


def check_updates(captured, plain, recwarn):
    """Make updates of two equal training states, one of them without a graph."""
    plain._uses_graph = False
    for update in range(5):
        captured.step(update)
        plain.step(update)
    torch.cuda.synchronize()
    assert same(captured, plain)
    # A capturable optimizer warns about updates outside a graph.
    assert all("capturable" in str(warning.message) for warning in recwarn)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_update_in_a_cuda_graph_equals_a_plain_update(
    smoke_model, precision, recwarn
):
    captured = trainer(smoke_model, precision=precision).train_states[1]
    plain = trainer(smoke_model, precision=precision).train_states[1]
    check_updates(captured, plain, recwarn)


# A model without a parent, and one with frozen weights from its parent.
@pytest.mark.parametrize("index", [0, -1])
def test_an_update_of_a_decoder_in_a_cuda_graph_equals_a_plain_update(
    catalog, index, recwarn
):
    small = catalog.arith("smoke")
    spec = small.model(list(small.rows)[index])
    parent = spec.insertion and models.build(spec.insertion.parent)
    captured, plain = (
        training.trainer(spec, "cuda", parent).train_states[spec.seed] for _ in range(2)
    )
    check_updates(captured, plain, recwarn)


def test_a_seed_trained_with_others_equals_one_trained_alone(smoke_model):
    alone, together = trainer(smoke_model, seeds=1), trainer(smoke_model, seeds=3)
    for _ in range(100):
        alone.step()
        together.step()
    assert same(alone.train_states[1], together.train_states[1])


@pytest.mark.parametrize("updates", [1, 4, 5, 9])
def test_a_resumed_training_is_bitwise_identical(smoke_model, tmp_path, updates):
    whole, first, second = (trainer(smoke_model) for _ in range(3))
    whole.run(tmp_path / "whole", NEVER)
    for _ in range(updates):
        first.step()
        if first._is_evaluation_due():
            first.evaluate()
    checkpoint.save_checkpoint(tmp_path, first.make_checkpoint())
    assert second.resume(tmp_path)
    second.run(tmp_path, NEVER)
    assert whole.curve == second.curve
    assert all(
        same(whole.train_states[k], second.train_states[k]) for k in whole.train_states
    )
