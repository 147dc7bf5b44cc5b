"""Heads of matrix models: a network that transposes matrices, wired by hand."""

import math

import pandas as pd
import pytest
import torch
from msgspec import structs
from synthetic import CATALOG

from mathprobe.spec import EncodingSpec, LayerConfig, TestSet
from mathprobe.studies.linalg import heads
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import make_testset
from mathprobe.studies.linalg.models import build

TASK, DISTRIBUTION, N = "transpose", "uniform_coefficients", 2
HEAD = 1  # of the decoder: it copies the tokens of the transposed matrix
TOKENS = 3  # per number
EXAMPLES = 16


def specification(**changes):
    spec = CATALOG.model("smoke", TASK, DISTRIBUTION, N, "base")
    one_digit = EncodingSpec("p1000", 1)
    return structs.replace(spec, input=one_digit, output=one_digit, seeds=1, **changes)


def wired():
    """Return a network whose head HEAD alone copies the tokens of the answer.

    The first dimensions of the residual stream are a token, the others a position.
    All outputs but that of the head are zero.
    """
    codecs = Codecs(specification())
    vocabulary = len(codecs.source.vocabulary)
    length = codecs.source.max_length(N, N)
    half = vocabulary + length
    layer = LayerConfig(layers=1, width=2 * half, heads=2)
    spec = specification(encoder=layer, decoder=layer)
    model = build(spec, 1).double()
    one_hot = torch.eye(2 * half, dtype=torch.double)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm.weight" not in name:
                parameter.zero_()
        for embedding in (model.source_embedding, model.target_embedding):
            embedding.tokens.weight[:] = one_hot[:vocabulary]
            embedding.positions.weight[:] = one_hot[vocabulary:half]
        cross = model.decoder[0].cross
        keys, values = cross.key_value.weight.split(2 * half)
        for position, read in enumerate(reads(length)):
            cross.query.weight[HEAD * half + position, vocabulary + position] = 10.0
            keys[HEAD * half + position, vocabulary + read] = 10.0
        values[HEAD * half :][:half] = one_hot[:half]
        cross.out.weight[:, HEAD * half :] = 10.0 * one_hot[:half].T
    return spec, model


def reads(length):
    """Return the source position of the token after each target position."""
    source = list(range(1, length))
    second = 3 + TOKENS  # positions of the coefficients 1,2 and 2,1
    a, b = (slice(start - 1, start - 1 + TOKENS) for start in (second, second + TOKENS))
    source[a], source[b] = source[b], source[a]
    return source


@pytest.fixture(scope="module")
def found():
    spec, model = wired()
    settings = CATALOG.testset("smoke", TASK, DISTRIBUTION, N)
    test = make_testset(structs.replace(settings, examples=EXAMPLES))
    return {
        k: pd.DataFrame(v)
        for k, v in heads.tables(spec, {1: model}, test, 0.05).items()
    }


def test_the_only_head_that_carries_the_answer_is_found(found):
    rows = found["ablations"].query("tokens == 'all' and ablation != 'itself'")
    assert (rows["right"] == EXAMPLES).all()
    carrying = {f"D0X{HEAD}", heads.EVERYTHING, heads.MEMORY}
    is_carrying = rows["component"].isin(carrying)
    assert (rows[is_carrying]["value"] > 0.9).all()
    assert (rows[~is_carrying]["wrong"] == 0).all()
    assert len(rows[is_carrying]) == 7
    assert set(rows[~is_carrying]["component"]) == {
        *("E0H0", "E0H1", "E0MLP", "D0H0", "D0H1", "D0X0", "D0MLP")
    }


def test_replacing_everything_by_itself_changes_no_answer(found):
    (control,) = found["ablations"].query("ablation == 'itself'").to_dict("records")
    assert (control["component"], control["wrong"]) == (heads.EVERYTHING, 0)


def test_each_coefficient_is_needed_and_the_other_tokens_are_not(found):
    """Another coefficient makes an answer wrong; equal dimensions and ends do not."""
    rows = found["ablations"].query(f"component == '{heads.MEMORY}'")
    shares = rows.set_index("tokens")["value"]
    assert shares.pop(heads.OTHER) == 0.0
    assert set(shares.index) == {
        *("all", "1,1", "1,2", "2,1", "2,2", "diagonal", "off-diagonal")
    }
    assert (shares > 0.5).all()


def test_attention_is_to_the_transposed_coefficient(found):
    names = ["1,1", "1,2", "2,1", "2,2"]
    rows = found["attention"]
    assert set(rows["network"]) == {"trained", "untrained"}
    table = rows.pivot_table("value", ["network", "component", "answer"], "tokens")
    wired_head = table.loc["trained", f"D0X{HEAD}"]
    for answer, name in enumerate(["1,1", "2,1", "1,2", "2,2"], 1):
        assert wired_head.loc[answer, name] > 0.99
    whole = table[[*names, heads.OTHER]].sum(axis=1)
    assert whole.to_numpy() == pytest.approx(1.0, abs=1e-5)
    parts = table[["diagonal", "off-diagonal", heads.OTHER]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(1.0, abs=1e-5)
    uniform = table.loc["trained", f"D0X{1 - HEAD}"]  # its scores are zero
    length = 4 + TOKENS * N * N
    assert uniform[names].to_numpy() == pytest.approx(TOKENS / length, abs=1e-6)


def test_token_groups_follow_numbers_of_unequal_length():
    """P10 writes zero with fewer tokens, so that later numbers move."""
    spec = structs.replace(specification(), input=EncodingSpec("p10", 2))
    codecs = Codecs(spec)
    matrix = torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 0.0], [2.0, 3.0]]])
    groups = heads.token_groups(codecs, codecs.source.encode(matrix))
    lengths = {name: mask.sum(1).tolist() for name, mask in groups.items()}
    assert lengths == {
        **{"1,1": [3, 4], "1,2": [4, 3], "2,1": [4, 4], "2,2": [4, 4]},
        **{"diagonal": [7, 8], "off-diagonal": [8, 7], "other": [5, 5]},
    }
    assert groups["1,2"][0].nonzero()[:, 0].tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize(("verdict", "right"), [("by_error", 0), ("right", 20)])
def test_answers_that_equal_the_label_have_the_verdict_of_the_settings(verdict, right):
    """No rounded inverse is exact."""
    spec = CATALOG.model("smoke", "inverse", DISTRIBUTION, N, "base")
    spec, codecs = structs.replace(spec, exact_answers=verdict), Codecs(spec)
    test = make_testset(TestSet(spec.data, 20))
    matrix, answer = (torch.from_numpy(test[name]) for name in ("matrix", "answer"))
    judge = heads._judge(spec, *codecs.round_trip(matrix, answer), 1e-6)
    assert judge(codecs.target.encode(answer)[:, 1:]).sum() == right


def test_shares_have_intervals_and_are_missing_without_right_answers():
    """Interval of 3 of 4: Wilson, computed by hand."""
    before = torch.tensor([True, True, True, True, False])
    after = torch.tensor([False, True, False, False, False])
    row = heads._wrong(before, after)
    z2 = 1.959964**2
    half = math.sqrt(z2 * (0.75 * 0.25 + z2 / 16) / 4) / (1 + z2 / 4)
    center = (0.75 + z2 / 8) / (1 + z2 / 4)
    assert (row["right"], row["wrong"], row["value"]) == (4, 3, 0.75)
    assert (row["low"], row["high"]) == pytest.approx((center - half, center + half))
    assert heads._wrong(after & ~after, after) == {"right": 0, "wrong": 0}
