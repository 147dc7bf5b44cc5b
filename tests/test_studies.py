import grimp
import numpy as np
import pytest
import torch
from msgspec import structs

from mathprobe.intervals import quantile_ranks
from mathprobe.linalg import distributions
from mathprobe.linalg.distributions import DISTRIBUTIONS, IID
from mathprobe.linalg.encodings import ENCODINGS, Positional
from mathprobe.linalg.examples import distributions_for
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.tasks import TASKS, Task
from mathprobe.spec import ConditionNumbers, EncodingSpec, MatrixSpec, TestSet
from mathprobe.studies.linalg import conditions, models, scoring, training
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset


@pytest.fixture(scope="module")
def demo(catalog):
    return catalog.model("demo", "eigenvalues", "laplace", 2, "base")


def make_test(distribution, n=2, examples=4000):
    return make_testset(
        TestSet(MatrixSpec("eigenvalues", distribution, n, n, {}), examples)
    )


def to_tensors(test):
    return (torch.from_numpy(test[name]) for name in ("matrix", "answer"))


def errors(codecs, matrix, answer, prediction):
    """Return relative errors [B] after rounding of matrices and predictions."""
    task = codecs.spec.data.task
    return relative_error(task, *codecs.round_trip(matrix, answer), prediction)


def accuracy(error):
    return float((error < 0.05).double().mean())


def test_test_sets_are_reproducible():
    assert all(
        (make_test("laplace")[k] == v).all() for k, v in make_test("laplace").items()
    )


def test_training_data_and_test_set_are_disjoint(demo):
    trainer = training.trainer(demo, "cpu")
    source, target = trainer.train_states[1].loader.draw(0)
    codecs = Codecs(demo)
    tested = codecs.source.encode(torch.from_numpy(make_test("laplace")["matrix"]))
    both = torch.cat([source, tested]).unique(dim=0)
    assert len(both) > 0.99 * (len(source) + len(tested))
    assert len(target) == len(source)


def test_validation_sets_and_test_sets_are_disjoint(demo):
    validation = training.validation_sets(demo)
    assert list(validation) == demo.curve.tests
    matrix, answer = validation["semicircle"]
    assert len(matrix) == len(answer) == demo.curve.examples
    tested = torch.from_numpy(make_test("semicircle")["matrix"])
    assert not torch.isin(matrix.flatten(), tested.flatten()).any()


def test_validation_sets_use_distribution_settings(demo):
    settings = {**demo.curve.distribution_settings, "semicircle": {"bound": 5.0}}
    curve = structs.replace(demo.curve, distribution_settings=settings)
    changed, plain = (
        training.validation_sets(one)["semicircle"][0]
        for one in (structs.replace(demo, curve=curve), demo)
    )
    torch.testing.assert_close(2 * changed, plain)


def test_blocks_are_reproducible_and_different(demo):
    blocks = training.trainer(demo, "cpu").train_states[1].loader.draw
    assert torch.equal(blocks(3)[0], blocks(3)[0])
    assert not torch.equal(blocks(3)[0], blocks(4)[0])


@pytest.mark.parametrize("task", ["eigenvectors", "singular_vectors"])
def test_canonical_signs_change_labels_but_no_matrices_or_answers(catalog, task):
    distribution = distributions_for(task)[0]
    base, canonical = (
        catalog.model("demo", task, distribution, 3, recipe)
        for recipe in ("base", "canonical")
    )
    assert structs.replace(canonical, signs="lapack") == base
    (matrix, plain), (same, changed) = (
        training.trainer(one, "cpu").train_states[1].loader.draw(0)
        for one in (base, canonical)
    )
    assert torch.equal(matrix, same)
    rows = 4 if task == "eigenvectors" else 7
    before, after = (
        Codecs(base).target.decode(ids, rows, 3)[0] for ids in (plain, changed)
    )
    assert torch.equal(before.abs(), after.abs())
    assert not torch.equal(before, after)
    left = after[:, 1:4]
    assert torch.equal(left.amax(1), left.abs().amax(1))  # rounding makes equal ones
    one, other = map(training.validation_sets, (base, canonical))
    for name, pair in one.items():
        assert all(map(torch.equal, pair, other[name]))


def test_models_learn_and_answer_in_their_order_of_eigenvalues(catalog):
    base = catalog.model("smoke", "eigenvectors", "laplace", 3, "base")
    ascending = structs.replace(base, eigenvalue_order="ascending")
    test = {"laplace": make_testset(TestSet(base.data, 50))}
    matrix, answer = to_tensors(test["laplace"])
    labels, measured = [], []
    for spec in (base, ascending):
        codecs = Codecs(spec)
        _, learned = training.block_loader(spec, 1, "cpu").draw(0)
        labels.append(codecs.target.decode(learned, *codecs.output_shape)[0])
        guess = 1.1 * codecs.round_trip(matrix, answer)[1]
        predictions = {
            "laplace.prediction": guess[None].numpy(),
            "laplace.oracle": codecs.oracle(matrix).numpy(),
        }
        measured.append(scoring.measure(spec, test, predictions))
    descending, changed = labels
    assert torch.equal(descending, changed.flip(-1))
    assert (changed[:, 0].diff() >= 0).all()
    for name, values in measured[0].items():
        if name.rsplit("_", 1)[-1] not in ("cosine", "angle"):  # of successive columns
            np.testing.assert_allclose(values, measured[1][name], 1e-9, err_msg=name)
    assert measured[1]["laplace.eigenvalue_error"] == pytest.approx(0.1)


def zeros(codecs, matrix):
    return torch.zeros(len(matrix), *codecs.output_shape, dtype=torch.float64)


def labels(codecs, matrix):
    return codecs.target.round_trip(TASKS[codecs.spec.data.task].solve(matrix))


@pytest.mark.parametrize(
    ("task", "answers", "setting", "verdict"),
    [
        ("eigenvectors", zeros, "zero_answers", "wrong"),
        ("eigenvectors", zeros, "zero_answers", "right"),
        ("inverse", labels, "exact_answers", "by_error"),
        ("inverse", labels, "exact_answers", "right"),
    ],
)
def test_verdicts_reach_scores_and_learning_curves(
    catalog, monkeypatch, task, answers, setting, verdict
):
    distribution = distributions_for(task)[0]
    model = catalog.model("smoke", task, distribution, 2, "base")
    model = structs.replace(model, **{setting: verdict})

    def predict(codecs, network, matrix):
        return answers(codecs, matrix), torch.ones(len(matrix), dtype=torch.bool)

    for module in (models, training):
        monkeypatch.setattr(module, "predict", predict)
    network = models.build(model, 1)
    test = {distribution: make_testset(TestSet(model.data, 50))}
    predictions = models.predict_all(model, {1: network}, test)
    measured = scoring.measure(model, test, predictions)
    (row,) = scoring.accuracy_rows(measured, [0.05])
    curve = training.trainer(model, "cpu").compute_metrics(network)
    found = {row["accuracy"], *(point["accuracy"] for point in curve)}
    assert {one == 1.0 for one in found} == {verdict == "right"}


def test_rounded_labels_have_no_error(demo):
    codecs = Codecs(demo)
    matrix, answer = to_tensors(make_test("laplace"))
    rounded = codecs.target.decode(codecs.target.encode(answer), 2, 1)[0]
    assert errors(codecs, matrix, answer, rounded).abs().max() == 0.0


def test_oracle_accuracy_of_the_demo_is_about_96_percent(demo):
    codecs = Codecs(demo)
    matrix, answer = to_tensors(make_test("laplace"))
    error = errors(codecs, matrix, answer, codecs.oracle(matrix))
    assert 0.95 < accuracy(error) < 0.98


def test_oracle_accuracy_with_three_digits_exceeds_99_percent(demo):
    encoding = EncodingSpec("p1000", 3)
    codecs = Codecs(structs.replace(demo, input=encoding, output=encoding))
    matrix, answer = to_tensors(make_test("laplace"))
    error = errors(codecs, matrix, answer, codecs.oracle(matrix))
    assert accuracy(error) > 0.99


def test_networks_are_determined_by_their_seed(demo):
    seeds = 1, 1, 2
    first, again, other = (models.build(demo, s).state_dict() for s in seeds)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["output_bias"], other["output_bias"])


def test_building_preserves_the_global_random_state(demo):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    models.build(demo, 1)
    assert torch.equal(torch.rand(1), expected)


def test_malformed_predictions_are_counted(demo):
    network = models.build(demo, 1)
    with torch.no_grad():
        network.output_bias[0] = 1e6  # predicts only end tokens
    test = {"laplace": make_test("laplace", examples=20)}
    predictions = models.predict_all(demo, {1: network}, test)
    rows = list(scoring.accuracy_rows(scoring.measure(demo, test, predictions), [0.05]))
    assert rows[0]["malformed"] == 1.0
    assert rows[0]["correct"] == 0
    assert rows[0]["oracle"] > 0.5


def test_a_new_task_distribution_and_encoding_are_trained_and_scored(
    smoke_model, monkeypatch
):
    for registry in (TASKS, DISTRIBUTIONS, ENCODINGS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))

    diagonal = Task(
        output_shape=lambda rows, columns: (min(rows, columns), 1),
        solve=lambda matrix: matrix.diagonal(dim1=1, dim2=2)[..., None],
    )
    TASKS.add("diagonal")(diagonal)

    @DISTRIBUTIONS.add("signs")
    @distributions.from_matrices(IID, symmetric=False)
    def signs(rng, shape, parameters):
        return torch.randn(shape, generator=rng).sign().double()

    @ENCODINGS.add("p100")
    class P100(Positional):
        digits_per_token = 2

    encoding = EncodingSpec("p100", 2)
    curve = structs.replace(smoke_model.curve, tests=["signs"])
    spec = structs.replace(smoke_model, input=encoding, output=encoding, curve=curve)
    data = MatrixSpec("diagonal", "signs", 3, 2, {})
    schedule = structs.replace(spec.schedule, examples=64 * 60, learning_rate=1e-2)
    spec = structs.replace(spec, data=data, schedule=schedule)
    trainer = training.trainer(spec, "cpu")
    for _ in range(spec.schedule.updates):
        trainer.step()
    seeds = {number: one.network for number, one in trainer.train_states.items()}
    test = {"signs": make_testset(TestSet(data, 200))}
    predictions = models.predict_all(spec, seeds, test)
    rows = list(scoring.accuracy_rows(scoring.measure(spec, test, predictions), [0.05]))
    assert [row["oracle"] for row in rows] == [1.0, 1.0]
    assert all(row["accuracy"] > 0.2 for row in rows)  # random signs: a quarter


@pytest.fixture(scope="module")
def measured():
    rows = conditions.condition_numbers(ConditionNumbers(5, 10_000, {}))
    return {(row["distribution"], row["quantile"]): row for row in rows}


PRINTED = {  # Charton 2022, table 4
    "semicircle": (9.4, 20.4, 52.0),
    "uniform": (6.3, 14.8, 38.9),
    "gaussian": (9.0, 21.2, 57.4),
    "laplace": (14.1, 34.5, 99.5),
    "abs_semicircle": (9.5, 20.6, 51.7),
    "abs_laplace": (14.3, 35.4, 98.3),
    "marchenko_pastur": (190.0, 885.0, 5293.0),
}


@pytest.mark.parametrize("distribution", PRINTED)
@pytest.mark.parametrize("place", range(3))
def test_condition_numbers_agree_with_table_4(measured, distribution, place):
    """Both are samples of 10 000, so the error is sqrt(2) times larger."""
    row = measured[distribution, conditions.QUANTILES[place]]
    error = (row["high"] - row["low"]) / (2 * 1.96)
    assert abs(row["value"] - PRINTED[distribution][place]) < 3.5 * 2**0.5 * error


def test_uniform_coefficients_disagree_with_table_4():
    settings = {"semicircle": {"coefficients": "uniform"}}
    rows = conditions.condition_numbers(ConditionNumbers(5, 10_000, settings))
    median = rows[0]
    assert (median["distribution"], median["quantile"]) == ("semicircle", 0.5)
    assert median["high"] < 9.2 < PRINTED["semicircle"][0]


def test_only_marchenko_pastur_is_rejected(measured):
    rejected = {
        distribution: row["rejected"] for (distribution, _), row in measured.items()
    }
    assert 0 < rejected.pop("marchenko_pastur") < 300
    assert set(rejected.values()) == {0}


UNRELATED = {  # modules that a study must not import, not even indirectly
    "linalg.data": (
        "nets",
        "linalg.encodings",
        "linalg.scores",
        "training",
        "train_state",
    ),
    "linalg.codecs": ("nets", "linalg.scores", "training", "train_state"),
    "linalg.models": (
        "linalg.scores",
        "linalg.distributions",
        "training",
        "train_state",
    ),
    "linalg.scoring": ("nets", "linalg.distributions", "training", "train_state"),
    "linalg.training": ("linalg.properties", "linalg.verifiers"),
    "linalg.conditions": ("nets", "linalg.encodings", "training", "train_state"),
    "oracle_accuracy": ("nets", "training", "train_state"),
    "evidence": ("nets", "training", "train_state"),
    "failures": ("nets", "training", "train_state"),
    "arith.models": ("training", "train_state", "arith.questions"),
    "arith.accuracy": ("training", "train_state", "losses"),
    "arith_evidence": ("nets", "training", "train_state", "paper"),
    "circuits": ("training", "train_state", "paper"),
    "comparisons": ("nets", "paper"),
}


@pytest.mark.parametrize("module", UNRELATED)
def test_studies_do_not_depend_on_unrelated_modules(module):
    graph = grimp.build_graph("mathprobe", cache_dir=None)
    known = graph.find_upstream_modules(f"mathprobe.studies.{module}")
    for other in UNRELATED[module]:
        name = f"mathprobe.{other}"
        found = {one for one in known if one == name or one.startswith(f"{name}.")}
        assert name in graph.modules
        assert not found


def test_ranks_of_the_median_of_10_000_values():
    assert quantile_ranks(0.5, 10_000) == (4901, 5098)
