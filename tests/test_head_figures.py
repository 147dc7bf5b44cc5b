import numpy as np
import pytest
from synthetic import frame

from mathprobe.paper import head_figures

COMPONENTS = ("E0H0", "E0MLP", "D0X0", "D0X1", head_figures.EVERYTHING)
TOKENS = ("1,1", "1,2", "2,1", "2,2", "diagonal", "off-diagonal", "other")


def ablations(value=0.4):
    """Return a table with a control, three ablations and the encoder's output."""
    places = [(head_figures.EVERYTHING, "all", head_figures.ITSELF)]
    each = ("mean", "zero", "resample")
    places += [(name, "all", ablation) for ablation in each for name in COMPONENTS]
    tokens = ("all", *TOKENS)
    places += [(head_figures.MEMORY, group, "resample") for group in tokens]
    shares = {"value": value, "low": value, "high": value}
    names = ("component", "tokens", "ablation")
    return frame([dict(zip(names, one, strict=True)) | shares for one in places])


def attention():
    rows = [
        {"network": network, "component": head, "answer": answer, "tokens": tokens}
        for network in ("trained", "untrained")
        for head in ("D0X0", "D0X1")
        for answer in (1, 2)
        for tokens in TOKENS
    ]
    return frame([row | {"value": i / len(rows)} for i, row in enumerate(rows)])


@pytest.fixture
def figure():
    return head_figures.heads(ablations(), attention())


def test_every_component_and_group_of_tokens_has_its_points(figure):
    upper, lower = figure.axes[:2]
    labels = ([text.get_text() for text in a.get_xticklabels()] for a in (upper, lower))
    assert [*labels] == [
        [head_figures.EVERYTHING, *COMPONENTS[:-1]],
        ["all", *TOKENS],
    ]
    points = [len(bars.lines[0].get_xdata()) for bars in upper.containers]
    assert points == [5, 5, 5, 1]  # mean, zero, resample, control
    assert [len(bars.lines[0].get_xdata()) for bars in lower.containers][2] == 8


def test_heat_maps_are_the_matrices_of_attention(figure):
    """A row per number of the answer; the last one is the mean before training."""
    table = attention()
    maps = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(maps) == 6

    def expected(network, head):
        own = table[(table["network"] == network) & (table["component"] == head)]
        return own["value"].to_numpy().reshape(2, len(TOKENS))[:, :4].reshape(2, 2, 2)

    for column, head in enumerate(("D0X0", "D0X1")):
        first, second = expected("trained", head)
        np.testing.assert_allclose(maps[column], first)
        np.testing.assert_allclose(maps[2 + column], second)
        np.testing.assert_allclose(
            maps[4 + column], expected("untrained", head).mean(0)
        )


def test_a_model_without_right_answers_has_no_points():
    figure = head_figures.heads(ablations(value=None), attention())
    bars = figure.axes[0].containers
    assert all(not len(one.lines[0].get_xdata()) for one in bars)
