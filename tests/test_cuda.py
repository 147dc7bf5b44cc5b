"""On CUDA: data, trainings, predictions and circuit maps equal those of the CPU.

Runs on a GPU if there is one, otherwise on the pretended device of `pretend_cuda.py`.
There, trainings are bitwise identical to those on the CPU.  A GPU rounds differently:
trainings are compared with trainings without a CUDA graph on the same GPU.  The other
networks have float64 weights, so that rounding does not change their answers.
"""

import os
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from itertools import chain
from unittest import mock

import networks
import pandas as pd
import pytest
import test_cli
import test_cli_arith
import torch
from msgspec import structs
from pretend_cuda import pretend, without_checks
from test_circuits import SETTINGS, circuit, record, untrained
from test_cli import run
from wired import cascade, wired

from mathprobe import checkpoint, gpus
from mathprobe.arith import questions
from mathprobe.arith.complexity import class_indices
from mathprobe.arith.tokens import Layout
from mathprobe.cli.device import make_deterministic
from mathprobe.data_loader import BATCHES_PER_BLOCK
from mathprobe.decoding import greedy_decode
from mathprobe.interp.ablation import ABLATIONS, ablation_values
from mathprobe.interp.attention import knock_out
from mathprobe.interp.measures import effects, logit_difference, patch_nodes
from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.interp.residual import logit_attribution, patch_paths
from mathprobe.linalg.codec import END
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.linalg.examples import distributions_for
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.seeds import rng_for
from mathprobe.spec import AccuracyTest, EncodingSpec, Enrichment, Questions, TestSet
from mathprobe.studies import controls
from mathprobe.studies.arith import accuracy, models
from mathprobe.studies.arith.training import trainer as arith_trainer
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw
from mathprobe.studies.linalg.models import build, predict
from mathprobe.studies.linalg.training import block_loader, trainer, validation_sets

HAS_GPU = torch.cuda.is_available()
NEVER = 1e9  # seconds
UPDATES = 5


@contextmanager
def restored_settings():
    """Restore the settings of torch and the environment at the end."""
    mode = torch.get_deterministic_debug_mode()
    precision = torch.get_float32_matmul_precision()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    try:
        with mock.patch.dict(os.environ):
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.set_float32_matmul_precision(precision)
        torch.utils.deterministic.fill_uninitialized_memory = fills


@pytest.fixture(autouse=True)
def cuda():
    """Set up torch as the commands do, on a real or a pretended device."""
    with restored_settings(), nullcontext() if HAS_GPU else pretend() as state:
        torch.set_float32_matmul_precision("high")  # the default of some containers
        make_deterministic()
        yield state


@contextmanager
def no_waits(cuda):
    """Check that the host does not wait for the device."""
    if not HAS_GPU:
        before = cuda.waits.copy()
        yield
        assert not cuda.waits - before
        return
    set_wait_mode("error")
    try:
        yield
    finally:
        set_wait_mode("default")


def set_wait_mode(mode):
    """Set whether torch raises an error if the host waits for the device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls it a prototype
        torch.cuda.set_sync_debug_mode(mode)


def test_the_settings_are_those_of_production():
    assert torch.get_deterministic_debug_mode() == 2
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


# Data


def small(catalog, task="eigenvalues", distribution=None, n=2, **changes):
    """Return a small model of n x n matrices."""
    distribution = distribution or distributions_for(task)[0]
    spec = catalog.model("smoke", task, distribution, n, "base")
    schedule = structs.replace(spec.schedule, batch=4)
    return structs.replace(spec, schedule=schedule, **changes)


def check_data(spec):
    """Check a block of training data, and the numbers that its answers encode."""
    here, there = (block_loader(spec, 1, device).load(0) for device in ("cpu", "cuda"))
    assert all(ids.is_cuda for ids in there)
    assert all(map(torch.equal, (ids.cpu() for ids in there), here))
    codecs = Codecs(spec)
    for ids, codec, shape in (
        (there[0], codecs.source, codecs.input_shape),
        (there[1], codecs.target, codecs.output_shape),
    ):
        values, ok = codec.decode(ids.cpu(), *shape)
        assert ok.all()
        assert torch.equal(values, codec.round_trip(values))


@pytest.mark.parametrize("task", TASKS)
def test_the_data_of_each_task_are_those_of_the_cpu(catalog, task):
    check_data(small(catalog, task, n=3))


@pytest.mark.parametrize("distribution", [*DISTRIBUTIONS, "laplace+uniform"])
def test_the_data_of_each_distribution_are_those_of_the_cpu(catalog, distribution):
    check_data(small(catalog, "transpose", distribution, n=3))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_data_of_each_encoding_are_those_of_the_cpu(catalog, encoding):
    spec = EncodingSpec(encoding, 3)
    check_data(small(catalog, input=spec, output=spec))


@pytest.mark.parametrize("operation", questions.OPERATIONS)
def test_answers_and_complexity_classes_are_those_of_the_cpu(operation):
    settings = Questions(20, {operation: 1.0}, "batches", Enrichment(0.5, 0.4, 0.01))
    ids = questions.sample(settings, rng_for("cuda", operation), 9, 64)
    first, _, second, _ = Layout(20).split(ids)
    there = first.cuda(), second.cuda()
    assert torch.equal(questions.encode_questions(operation, *there).cpu(), ids)
    classes = class_indices(operation, *there)
    assert torch.equal(classes.cpu(), class_indices(operation, first, second))


# Training


def linalg_states(spec, device):
    return trainer(spec, device).train_states


def arith_states(spec, device):
    parent = spec.insertion and models.build(spec.insertion.parent)
    return arith_trainer(spec, device, parent).train_states


def check_updates(prepare, spec, cuda, recwarn):
    """Compare updates in a CUDA graph with updates without one."""
    captured = prepare(spec, "cuda")
    step_all(captured, [0])  # captures the graph
    with no_waits(cuda):
        step_all(captured, range(1, UPDATES))
    with without_checks():
        plain = prepare(spec, "cuda" if HAS_GPU else "cpu")
        for state in plain.values():
            state._uses_graph = False
        step_all(plain, range(UPDATES))
    assert all(same(captured[seed], plain[seed]) for seed in captured)
    losses = zip(captured.values(), plain.values(), strict=True)
    assert all(torch.equal(a.pop_loss(), b.pop_loss()) for a, b in losses)
    assert all(state.is_finite() for state in captured.values())
    # A capturable optimizer warns about updates outside a graph.
    assert all("capturable" in str(warning.message) for warning in recwarn)


def step_all(states, updates):
    for update in updates:
        for state in states.values():
            state.step(update)


def same(one, other):
    one.synchronize()
    other.synchronize()
    expected = other.state_dict()
    return all(
        torch.equal(tensor.cpu(), expected[name].cpu())
        for name, tensor in one.state_dict().items()
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_updates_in_a_cuda_graph_equal_plain_updates(
    smoke_model, precision, cuda, recwarn
):
    spec = structs.replace(smoke_model, precision=precision, seeds=2)
    check_updates(linalg_states, spec, cuda, recwarn)


# The smoke scale has a model without a parent and models that start from its weights,
# one of them with frozen weights and GrokFast.
@pytest.mark.parametrize("index", range(3))
def test_updates_of_a_decoder_in_a_cuda_graph_equal_plain_updates(
    catalog, index, cuda, recwarn
):
    name = list(catalog.arith("smoke").rows)[index]
    spec = catalog.arith_model("smoke", name)
    check_updates(arith_states, spec, cuda, recwarn)


def test_an_update_never_waits_for_the_device(catalog, cuda):
    """Also at the start of a block of data."""
    spec = small(catalog, seeds=1)
    states = linalg_states(spec, "cuda")
    step_all(states, range(2))
    with no_waits(cuda):
        step_all(states, range(2, BATCHES_PER_BLOCK + 2))


def test_a_seed_trained_with_others_equals_one_trained_alone(smoke_model):
    alone, together = (
        trainer(structs.replace(smoke_model, seeds=seeds), "cuda") for seeds in (1, 3)
    )
    for _ in range(UPDATES):
        alone.step()
        together.step()
    assert same(alone.train_states[1], together.train_states[1])


@pytest.mark.parametrize("updates", [1, 5])
def test_a_resumed_training_is_bitwise_identical(smoke_model, tmp_path, updates):
    """Its learning curve, weights and optimizer are those of one training."""
    spec = structs.replace(smoke_model, seeds=1)
    with without_checks():
        whole = trainer(spec, "cuda" if HAS_GPU else "cpu")
        whole.run(tmp_path / "whole", NEVER)
    first, second = trainer(spec, "cuda"), trainer(spec, "cuda")
    for _ in range(updates):
        first.step()
        if first._is_evaluation_due():
            first.evaluate()
    checkpoint.save_checkpoint(tmp_path, first.make_checkpoint())
    assert second.resume(tmp_path)
    second.run(tmp_path, NEVER)
    assert whole.curve == second.curve
    assert same(second.train_states[1], whole.train_states[1])


def test_the_learning_curve_of_a_decoder_is_that_of_the_cpu(catalog):
    """Before training; the weights are equal then."""
    spec = catalog.arith_model("smoke", next(iter(catalog.arith("smoke").rows)))
    curves = []
    for device in ("cpu", "cuda"):
        training = arith_trainer(spec, device)
        training.train_states[spec.seed].network.double()
        training.evaluate()
        curves.append(training.curve)
    assert curves[0] == curves[1]


# Predictions


def check_predictions(spec):
    """Compare greedy answers of a network with random weights."""
    codecs, (matrix, _) = Codecs(spec), next(iter(validation_sets(spec).values()))
    here, there = (build(spec, 1).double().eval().to(d) for d in ("cpu", "cuda"))
    source = codecs.source.encode(matrix)
    length = codecs.target.max_length(*codecs.output_shape)
    ids = greedy_decode(there, source.to("cuda"), END, length)
    assert ids.is_cuda
    assert torch.equal(ids.cpu(), greedy_decode(here, source, END, length))
    found, expected = predict(codecs, there, matrix), predict(codecs, here, matrix)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_those_of_the_cpu(catalog, task):
    check_predictions(small(catalog, task))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_predictions_in_each_encoding_are_those_of_the_cpu(catalog, encoding):
    spec = EncodingSpec(encoding, 3)
    check_predictions(small(catalog, input=spec, output=spec))


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_those_of_the_cpu(catalog, task):
    data = small(catalog, task).data
    matrix, answer, _ = draw(data, rng_for("cuda", task), 200)
    guess = answer * (1.0 + 0.05 * torch.randn(answer.shape, generator=rng_for("cuda")))
    here = relative_error(task, matrix, answer, guess)
    there = relative_error(task, *(x.to("cuda") for x in (matrix, answer, guess)))
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("operation", questions.OPERATIONS)
def test_the_accuracy_of_a_decoder_is_that_of_the_cpu(operation):
    """The decoder with hand-set weights fails some questions."""
    known = circuit(operation, 4)
    test = AccuracyTest(1000, 8, Enrichment(0.5, 0.4, 0.01))
    here = list(accuracy.accuracy(record(known), known.model, test))
    there = list(accuracy.accuracy(record(known), known.model.to("cuda"), test))
    assert there == here
    assert 0 < here[0]["fails"] < 1000


# Circuit maps

SMALL = structs.replace(
    SETTINGS, questions_per_class=10, pairs=16, questions_per_case=20, random_sets=1
)
CIRCUITS = {
    "addition": lambda: ("addition", 2, wired("addition", 2)),
    "subtraction": lambda: ("subtraction", 2, wired("subtraction", 2)),
    "two layers": lambda: ("addition", 2, cascade("addition", 2)),
}
STAGES = {
    "questions": lambda one: tensor_rows(
        ids=one.varied_questions[0].ids, level=one.varied_questions[1]
    ),
    "replacements": lambda one: chain.from_iterable(
        tensor_rows(
            **ablation_values(one.varied_questions[0], name, one.rng_for("cuda"), means)
        )
        for name in ABLATIONS
        for means in (False, True)
    ),
    "positions": lambda one: one.positions,
    "ablation": lambda one: fact_rows(one.ablation_facts),
    "attention": lambda one: fact_rows(one.attention_facts),
    "PCA": lambda one: [
        {"name": str(key), **result.metrics, "scores": result.scores.tolist()}
        for key, result in one.pca_results.items()
    ],
    "search": lambda one: [
        {"task": searched.task.name, "k": searched.k, "nodes": str(nodes), **vars(rate)}
        for searched, rates in one.search_results
        for nodes, rate in rates.items()
    ],
    "facts": lambda one: fact_rows(one.facts),
    "controls": lambda one: controls.table(
        one, untrained(one).to(one.model.tokens.weight.device)
    ),
}


def tensor_rows(**tensors):
    return [{"name": k, "value": v.flatten().tolist()} for k, v in tensors.items()]


def fact_rows(facts):
    return [fact.to_row() for fact in facts]


@cache
def both(name):
    """Return a circuit on the CPU and on the device; each computes a stage once."""
    return [
        replace(circuit(operation, n, model.to(device)), settings=SMALL)
        for device in ("cpu", "cuda")
        for operation, n, model in [CIRCUITS[name]()]
    ]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", CIRCUITS)
def test_each_stage_of_a_map_is_that_of_the_cpu(name, stage):
    on_cpu, on_device = both(name)
    with without_checks():
        here = pd.DataFrame(STAGES[stage](on_cpu))
    there = pd.DataFrame(STAGES[stage](on_device))
    assert len(here)
    pd.testing.assert_frame_equal(there, here, rtol=1e-9, atol=1e-12)


# Commands


def effects_of_patches(device):
    """Return effects of nodes and paths, attributions and a knock-out, on the CPU."""
    model = networks.decoder().to(device)
    clean, corrupted = (
        Run.greedy(model, networks.ids(15, 6, 9, seed).to(device), 4) for seed in (0, 1)
    )
    answers = clean.unpatched_answers, corrupted.unpatched_answers
    metric, rng = logit_difference(*answers), rng_for("test")
    head, query = Node.parse("P06L0H1"), Node.parse("P06L1Q0")
    patchings = [patch_nodes([(head,)]), patch_paths([((head,), (query,))])]
    found = [effects(corrupted, clean, one, metric, rng) for one in patchings]
    edges = clean.measure([knock_out({head: [0, 3]})], metric)
    direct = logit_attribution(clean, [head], *answers)
    return [*chain(*chain(*found)), edges.cpu(), direct.cpu()]


def test_effects_of_patches_are_those_of_the_cpu():
    on_cpu, on_device = (effects_of_patches(device) for device in ("cpu", "cuda"))
    for expected, values in zip(on_cpu, on_device, strict=True):
        torch.testing.assert_close(values, expected)


def check_outputs(commands, tmp_path, monkeypatch):
    """Run commands on both devices, and compare the files that they write.

    `commands` returns lists of arguments for an output folder.
    """
    # A reservation of a GPU has no effect in a process that already uses CUDA.
    monkeypatch.setenv(gpus.VISIBLE, os.environ.get(gpus.VISIBLE, "0"))
    monkeypatch.setattr(gpus, "claim", lambda: None)  # keeps a file open
    with without_checks():
        here = run_all(commands, tmp_path, "cpu")
    there = run_all(commands, tmp_path, "cuda")
    assert here.keys() == there.keys()
    if not HAS_GPU:
        different = [path for path, content in here.items() if there[path] != content]
        assert not different


def run_all(commands, tmp_path, device):
    """Run commands on a device; return the contents of their output files, by path."""
    folder = tmp_path / device
    for arguments in commands(folder):
        run(*arguments, "--device", device)
    paths = (path for path in folder.rglob("*.*") if "state" not in path.parts)
    return {
        path.relative_to(folder): path.read_bytes()
        for path in paths
        if path.name != "run.json"  # contains the device and times
    }


def test_commands_of_linear_algebra_run_on_the_device(
    smoke_model, tmp_path, monkeypatch
):
    spec = structs.replace(smoke_model, seeds=1)
    data = structs.replace(spec.data, distribution="semicircle")
    tests = tmp_path / "semicircle.npz"
    run("testset", TestSet(data, 30).to_json(), tests)

    def commands(folder):
        model, predictions = folder / "model.safetensors", folder / "predictions.npz"
        yield test_cli.train_arguments(spec, folder)
        yield "predict", model, predictions, "--tests", tests
        found = ("--ablations", folder / "a.csv", "--attention", folder / "b.csv")
        yield "heads", model, "--tests", tests, "--tolerance", 0.05, *found

    check_outputs(commands, tmp_path, monkeypatch)


def test_commands_of_arithmetic_run_on_the_device(catalog, tmp_path, monkeypatch):
    small = catalog.arith("smoke")
    *_, child = map(small.model, small.rows)

    def commands(folder):
        one, other = folder / "parent", folder / "child"
        yield test_cli_arith.train_arguments(child.insertion.parent, one)
        yield test_cli_arith.train_arguments(child, other, one)
        model, test = other / "model.safetensors", small.accuracy().to_json()
        yield "arith_accuracy", model, test, folder / "accuracy.csv"

    check_outputs(commands, tmp_path, monkeypatch)


def test_the_command_that_maps_a_decoder_runs_on_the_device(tmp_path, monkeypatch):
    def load(path, device):
        known = circuit("addition", 2)
        return record(known), known.model.to(device)

    monkeypatch.setattr(models, "load", load)

    def commands(folder):
        yield "arith_map", tmp_path / "model", SMALL.to_json(), folder

    check_outputs(commands, tmp_path, monkeypatch)
