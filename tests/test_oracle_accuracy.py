"""Accuracy of exact solutions that are rounded by the encodings."""

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


def encoded_test(task, distribution, n=5, encodings=THREE, examples=10_000):
    return EncodedTestSet(
        MatrixSpec(task, distribution, n, n, {}), examples, *encodings
    )


def accuracies(spec, tolerances=(0.05,)):
    return list(oracle_accuracy.table(OracleTests([spec], list(tolerances))))


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
def test_label_accuracies_agree_with_independent_results(task, distribution, label):
    rows = accuracies(encoded_test(task, distribution), (0.05, 0.02, 0.01, 0.005))
    assert [row["label"] for row in rows] == pytest.approx(label, abs=0.015)


def test_the_oracle_is_more_accurate_than_the_label():
    for distribution in ("semicircle", "marchenko_pastur"):
        row = accuracies(encoded_test("symmetric_inverse", distribution))[0]
        assert row["low"] > row["label_high"]


def test_relative_errors_of_oracle_and_label():
    spec = encoded_test("eigenvectors", "laplace", n=3, examples=200)
    codecs, (matrix, answer) = Codecs(spec), oracle_accuracy.draw_test(spec)
    rounded, label = codecs.round_trip(matrix, answer)
    found = oracle_accuracy.relative_errors(spec)
    for name, solution in (("oracle", codecs.oracle(matrix)), ("label", label)):
        expected = relative_error("eigenvectors", rounded, label, solution)
        assert torch.equal(found[name], expected)


def test_draw_test_returns_the_stored_test_set():
    spec = encoded_test("inverse", "uniform_coefficients", examples=50)
    stored = make_testset(TestSet(spec.data, 50))
    matrix, answer = oracle_accuracy.draw_test(spec)
    assert (matrix.numpy() == stored["matrix"]).all()
    assert (answer.numpy() == stored["answer"]).all()


def test_fewer_digits_lower_the_oracle_accuracy():
    one = EncodingSpec("p10", 1), EncodingSpec("p10", 1)
    three_digits, one_digit = (
        accuracies(encoded_test("eigenvalues", "laplace", 2, encodings, 2000))[0]
        for encodings in (THREE, one)
    )
    assert one_digit["oracle"] < 0.7 < 0.99 < three_digits["oracle"]
    assert one_digit["label"] == 1.0, "labels are compared with themselves"


def test_rows_identify_the_test_set():
    row = accuracies(encoded_test("inverse", "uniform_coefficients", examples=60))[0]
    assert set(row) == set(oracle_accuracy.COLUMNS)
    assert (row["task"], row["input"], row["output_digits"]) == ("inverse", "fp15", 3)
    assert row["low"] <= row["oracle"] <= row["high"]


def test_the_catalog_lists_every_test_of_the_papers_tables_once(catalog):
    tests = catalog.oracle_tests().tests
    keys = [
        (t.data.task, t.data.n, t.input.encoding, t.data.distribution) for t in tests
    ]
    assert len(set(keys)) == len(keys)
    for task, n in (("eigenvalues", 10), ("eigenvectors", 5), ("symmetric_inverse", 5)):
        assert {
            (task, n, "fp15", distribution) for distribution in catalog.distributions
        } <= set(keys)
    assert ("inverse", 5, "fp15", "uniform_coefficients") in keys
    assert ("eigenvectors", 5, "p1000", "uniform_wigner") in keys
    assert {t.examples for t in tests} == {10_000}


def test_the_specification_round_trips_through_json(catalog):
    spec = catalog.oracle_tests()
    assert OracleTests.from_json(spec.to_json()) == spec
