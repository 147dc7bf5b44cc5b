"""OracleTests: what exact answers score once tokens have rounded them."""

import pytest
import torch

from mathprobe.linalg.scores import relative_error
from mathprobe.spec import (
    EncodedTestSet,
    EncodingSpec,
    MatrixSpec,
    OracleTests,
    TestSet,
)
from mathprobe.studies import oracle_accuracy
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset

THREE = EncodingSpec("fp15", 3), EncodingSpec("p1000", 3)


def question(task, distribution, n=5, sides=THREE, examples=10_000):
    return EncodedTestSet(MatrixSpec(task, distribution, n, n, {}), examples, *sides)


def shares(asked, tolerances=(0.05,)):
    return list(oracle_accuracy.table(OracleTests([asked], list(tolerances))))


@pytest.mark.parametrize(
    ("task", "distribution", "label"),  # computed independently, with other samples
    [
        ("inverse", "uniform_coefficients", [0.919, 0.852, 0.599, 0.223]),
        ("inverse", "gaussian_coefficients", [0.912, 0.797, 0.538, 0.152]),
        ("symmetric_inverse", "uniform", [0.947, 0.883, 0.723, 0.412]),
        ("symmetric_inverse", "abs_laplace", [0.885, 0.735, 0.511, 0.197]),
        ("symmetric_inverse", "marchenko_pastur", [0.348, 0.132, 0.037, 0.004]),
        ("eigenvectors", "semicircle", [1.0, 1.0, 1.0, 0.832]),
    ],
)
def test_labels_score_what_was_found_independently(task, distribution, label):
    rows = shares(question(task, distribution), (0.05, 0.02, 0.01, 0.005))
    assert [row["label"] for row in rows] == pytest.approx(label, abs=0.015)


def test_to_answer_what_the_tokens_say_is_never_worse_than_the_label():
    for distribution in ("semicircle", "marchenko_pastur"):
        row = shares(question("symmetric_inverse", distribution))[0]
        assert row["low"] > row["label_high"]


def test_errors_are_those_of_the_oracle_and_of_the_label():
    asked = question("eigenvectors", "laplace", n=3, examples=200)
    codecs, (matrix, answer) = Codecs(asked), oracle_accuracy.draw_test(asked)
    seen, label = codecs.round_trip(matrix, answer)
    found = oracle_accuracy.relative_errors(asked)
    for who, made in (("oracle", codecs.oracle(matrix)), ("label", label)):
        expected = relative_error("eigenvectors", seen, label, made)
        assert torch.equal(found[who], expected)


def test_what_is_drawn_is_the_test_set_of_the_files():
    asked = question("inverse", "uniform_coefficients", examples=50)
    stored = make_testset(TestSet(asked.data, 50))
    matrix, answer = oracle_accuracy.draw_test(asked)
    assert (matrix.numpy() == stored["matrix"]).all()
    assert (answer.numpy() == stored["answer"]).all()


def test_fewer_digits_lower_the_ceiling():
    coarse = EncodingSpec("p10", 1), EncodingSpec("p10", 1)
    fine, rough = (
        shares(question("eigenvalues", "laplace", 2, sides, 2000))[0]
        for sides in (THREE, coarse)
    )
    assert rough["oracle"] < 0.7 < 0.99 < fine["oracle"]
    assert rough["label"] == 1.0, "a target is compared with itself"


def test_a_row_says_what_was_asked():
    row = shares(question("inverse", "uniform_coefficients", examples=60))[0]
    assert set(row) == set(oracle_accuracy.COLUMNS)
    assert (row["task"], row["input"], row["output_digits"]) == ("inverse", "fp15", 3)
    assert row["low"] <= row["oracle"] <= row["high"]


def test_the_catalog_asks_every_test_of_the_papers_tables_once(catalog):
    asked = catalog.oracle_tests().tests
    named = [
        (q.data.task, q.data.n, q.input.encoding, q.data.distribution) for q in asked
    ]
    assert len(set(named)) == len(named)
    for task, n in (("eigenvalues", 10), ("eigenvectors", 5), ("symmetric_inverse", 5)):
        assert {
            (task, n, "fp15", distribution) for distribution in catalog.distributions
        } <= set(named)
    assert ("inverse", 5, "fp15", "uniform_coefficients") in named
    assert ("eigenvectors", 5, "p1000", "uniform_wigner") in named
    assert {q.examples for q in asked} == {10_000}


def test_questions_survive_their_text(catalog):
    spec = catalog.oracle_tests()
    assert OracleTests.from_json(spec.to_json()) == spec
