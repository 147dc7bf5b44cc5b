import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from wired import trained_spec, wired

import mathprobe
from mathprobe import checkpoint, files, trained
from mathprobe.arith.tokens import TOKENS
from mathprobe.errors import InputError
from mathprobe.studies.linalg import models


def blocks(page):
    text = Path(page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


BLOCKS, README = blocks("docs/python.md"), blocks("README.md")
NAME = "eigenvalues/laplace/n2/base"
MATRIX = np.array([[2.0, 1.0], [1.0, 2.0]])  # its eigenvalues are 3 and 1


def save(folder, networks, spec):
    path = folder / "model.safetensors"
    checkpoint.save_model(path, networks, {"spec": spec.to_dict()})
    return path


@pytest.fixture
def model(smoke_model, tmp_path):
    """An untrained encoder-decoder."""
    save(tmp_path, models.build_all(smoke_model), smoke_model)
    return mathprobe.load(tmp_path)


@pytest.fixture
def adder(tmp_path, catalog):
    """A decoder with hand-set weights that adds numbers of two digits."""
    network = wired("addition", 2).float()
    return mathprobe.load(save(tmp_path, {1: network}, trained_spec(network, catalog)))


def test_predictions_are_decoded_answers_of_the_same_dimensions(model, monkeypatch):
    def exact(network, source, start, length):
        """Return the tokens of the exact answers, the first of which is malformed."""
        matrix, _ = model._codecs.source.decode(source, 2, 2)
        ids = model._codecs.target.encode(
            torch.linalg.eigvalsh(matrix).flip(1)[..., None]
        )
        ids[0, 3] = 0
        return ids

    monkeypatch.setattr(models, "greedy_decode", exact)
    batch = np.stack([MATRIX, MATRIX, 10 * MATRIX])[None]
    found = model.predict(batch)
    assert found.shape == (1, 3, 2, 1)
    assert np.isnan(found[0, 0]).all()
    np.testing.assert_allclose(found[0, 1:, :, 0], [[3.0, 1.0], [30.0, 10.0]], 0.01)


def test_the_oracle_solves_a_single_matrix(model):
    np.testing.assert_allclose(model.oracle(MATRIX.tolist()), [[3.0], [1.0]], 0.01)


@pytest.mark.parametrize(
    ("matrix", "seed", "message"),
    [
        (np.eye(3), 1, r"shape \(3, 3\): .* was trained on matrices of shape \(2, 2\)"),
        ([1.0, 2.0], 1, r"matrix has shape \(2,\)"),
        ([[1.0, 2.0], [3.0, 4.0]], 1, "not symmetric, which task 'eigenvalues' requir"),
        (MATRIX, 9, "unknown seed '9'; known names are 1"),
    ],
)
def test_an_invalid_matrix_or_seed_is_refused(model, matrix, seed, message):
    with pytest.raises(InputError, match=message):
        model.predict(matrix, seed)


def test_numbers_that_the_encoding_lacks_are_refused(model):
    with pytest.raises(ValueError, match="cannot encode nan"):
        model.predict(MATRIX * math.nan)


def test_a_decoder_answers_questions_about_numbers(adder):
    first, second = np.array([[12, 5], [90, 0]]), np.array([[34, 7], [90, 0]])
    found = adder.predict(first, second, "addition")
    assert found.tolist() == (first + second).tolist()
    assert adder.oracle(first, second, "addition").tolist() == found.tolist()
    assert adder.predict(3, 4, "addition") == 7


@pytest.mark.parametrize(
    ("text", "number"), [("+012", 12), ("-012", -12), ("-000", None), ("012+", None)]
)
def test_an_answer_that_is_no_number_is_nan(text, number):
    [found] = trained._numbers(torch.tensor([[TOKENS[symbol] for symbol in text]]))
    assert math.isnan(found) if number is None else found == number


@pytest.mark.parametrize(
    ("first", "second", "operation", "message"),
    [
        ([1], [2], "subtraction", "wired: unknown operation 'subtraction'"),
        ([1], [2, 3], "addition", r"different shapes: first: \(1,\), second: \(2,\)"),
        ([1], [100], "addition", "second: 100 is not a whole number from 0 to 99"),
        ([-1], [2], "addition", "first: -1 is not a whole number from 0 to 99"),
        ([1.5], [2], "addition", "first: 1.5 is not a whole number"),
    ],
)
def test_an_invalid_question_is_refused(adder, first, second, operation, message):
    with pytest.raises(InputError, match=message):
        adder.predict(first, second, operation)


def test_scores_are_those_of_the_folder(adder):
    with pytest.raises(InputError, match=r"accuracy\.csv is missing: make it with"):
        _ = adder.scores
    rows = [{"operation": "addition", "fails": 3}]
    files.write_csv(adder.folder / "accuracy.csv", rows, ["operation", "fails"])
    assert adder.scores["fails"].tolist() == [3]


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"model\.safetensors is missing: train it"):
        mathprobe.load(tmp_path)


@pytest.fixture
def documented(catalog, tmp_path, monkeypatch):
    """Stand-ins for the models of the Python page, in another working directory."""
    (tmp_path / "config").symlink_to(Path("config").absolute())
    monkeypatch.chdir(tmp_path)
    spec = catalog.model("demo", "eigenvalues", "laplace", 2, "base")
    seq2seq = save(Path("results/demo/linalg", NAME), models.build_all(spec), spec)
    seq2seq.with_name("scores.csv").write_text("examples\n1\n")
    network = wired("mixed", 3)
    spec = trained_spec(network, catalog, mixed=True)
    decoder = save(Path("results/demo/arith/mix_d3_l3_h4_t6K_s1"), {1: network}, spec)
    decoder.with_name("accuracy.csv").write_text("examples\n1\n")


def test_the_examples_of_the_python_page_run(documented):
    names = {}
    for block in BLOCKS[:-1]:  # the last one: test_published_maps.py
        exec(block, names)
    assert names["prediction"].shape == names["oracle"].shape == (1000, 2, 1)
    assert "# [-333, -4]" in BLOCKS[1]
    oracle = names["decoder"].oracle([123, 5], [456, 9], "subtraction")
    assert oracle.tolist() == [-333, -4]
    assert all(names["facts"])


def test_the_example_of_the_readme_runs(documented):
    names = {}
    exec(README[0], names)
    assert names["model"].predict([[2.0, 1.0], [1.0, 2.0]]).shape == (2, 1)
