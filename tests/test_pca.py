import math

import numpy as np
import pytest
import torch
from networks import decoder, ids

from mathprobe.interp.nodes import Node
from mathprobe.interp.patching import Run
from mathprobe.interp.pca import analyse
from mathprobe.interp.residual import residual_contributions
from mathprobe.nets.hooks import capture, patch
from mathprobe.seeds import rng_for

CASE = torch.arange(3).repeat_interleave(100)


def rng(name="pca"):
    return rng_for("test", name)


def blobs(centres, width=20, noise=0.3):
    directions = torch.randn(2, width, generator=rng(), dtype=torch.float64)
    points = torch.tensor(centres, dtype=torch.float64)[CASE] @ directions
    spread = torch.randn(len(CASE), width, generator=rng("noise"), dtype=torch.float64)
    return points + noise * spread


def test_three_separate_groups_pass_the_thresholds():
    found = analyse(blobs([[0.0, 0.0], [3.0, 1.0], [6.0, 0.0]]), CASE, rng())
    assert found.passes_thresholds
    assert found.agreement == 1.0
    assert found.explained > 0.8


def test_groups_unrelated_to_the_cases_fail_the_thresholds():
    order = torch.randperm(len(CASE), generator=rng("order"))
    values = blobs([[0.0, 0.0], [3.0, 1.0], [6.0, 0.0]])[order]
    found = analyse(values, CASE, rng())
    assert found.silhouette > 0.2
    assert found.agreement < 0.5
    assert not found.passes_thresholds


def test_noise_fails_the_thresholds_without_clusters():
    values = torch.randn(len(CASE), 20, generator=rng())
    found = analyse(values, CASE, rng())
    assert 0.0 < found.explained < 0.3
    assert math.isnan(found.silhouette)
    assert not found.passes_thresholds


def test_constant_values_fail_the_thresholds():
    found = analyse(torch.full((len(CASE), 20), 0.1), CASE, rng())
    assert found.explained == 0.0
    assert not found.scores.any()
    assert not found.passes_thresholds


def test_equal_seeds_give_equal_results():
    values = blobs([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]], noise=1.0)
    first, second = (analyse(values, CASE, rng()) for _ in range(2))
    assert first.metrics == second.metrics
    assert torch.equal(first.scores, second.scores)


def test_rounding_errors_are_not_components():
    """Values on a line have exactly one component."""
    line = torch.tensor([0.0, 1.0, 2.0]).double()[CASE] + 0.1 * torch.rand(
        len(CASE), generator=rng(), dtype=torch.float64
    )
    found = analyse(line[:, None] * torch.randn(1, 20, generator=rng()), CASE, rng())
    assert found.explained == pytest.approx(1.0)
    assert found.agreement == 1.0
    assert found.silhouette > 0.8


def plain_silhouette(points, label):
    """Compute the mean silhouette from its definition."""
    values = []
    for i, own in enumerate(label):
        distance = np.linalg.norm(points - points[i], axis=1)
        same = (label == own) & (np.arange(len(label)) != i)
        within = distance[same].mean()
        others = [distance[label == k].mean() for k in set(label) - {own}]
        values.append((min(others) - within) / max(min(others), within))
    return np.mean(values)


def plain_calinski(points, label):
    groups = [points[label == k] for k in set(label)]
    centre, k, q = points.mean(0), len(groups), len(points)
    between = sum(len(g) * ((g.mean(0) - centre) ** 2).sum() for g in groups)
    within = sum(((g - g.mean(0)) ** 2).sum() for g in groups)
    return between / (k - 1) / (within / (q - k))


def test_metrics_match_their_definitions():
    """With three groups on a line, three clusters have the better metrics."""
    values = torch.tensor([0.0, 10.0, 20.0]).double()[CASE]
    values = values + torch.rand(len(CASE), generator=rng(), dtype=torch.float64)
    found = analyse(values[:, None], CASE, rng())
    points, label = values[:, None].numpy(), CASE.numpy()
    points = points / points.std()
    assert found.silhouette == pytest.approx(plain_silhouette(points, label))
    assert found.calinski_harabasz == pytest.approx(plain_calinski(points, label))


def test_contributions_sum_to_the_layer_outputs():
    run = Run.greedy(decoder(), ids(15, 6, 9), 3)
    hooks = ["blocks.1.hook_attn_out", "blocks.1.hook_mlp_out"]
    block = run.model.blocks[1]
    with capture(run.model, *hooks) as activations:
        run.model(run.ids[:, :-1])
    heads = [Node(4, 1, "head", head) for head in range(4)]
    total = residual_contributions(run, heads).sum(0) + block.attn.out.bias
    torch.testing.assert_close(total, activations[hooks[0]][:, 4])
    mlp = residual_contributions(run, [Node(4, 1, "mlp")])[0] + block.mlp.leave.bias
    torch.testing.assert_close(mlp, activations[hooks[1]][:, 4])


def test_a_zeroed_head_contributes_nothing():
    run = Run.greedy(decoder(), ids(15, 6, 9), 3)
    with patch(run.model, "blocks.1.attn.hook_z", torch.zeros_like):
        assert not residual_contributions(run, [Node(4, 1, "head", 1)]).any()


def test_components_match_the_full_decomposition():
    values = torch.randn(len(CASE), 80, generator=rng(), dtype=torch.float64)
    values *= 0.8 ** torch.arange(80)
    centred = values - values.mean(0)
    left, size, _ = torch.linalg.svd(centred, full_matrices=False)
    found = analyse(values, CASE, rng())
    share = float(size[0] ** 2 / (size**2).sum())
    assert found.explained == pytest.approx(share, rel=1e-6)
    expected = (left * size)[:, :2]
    sign = (found.scores * expected).sum(0).sign()
    torch.testing.assert_close(found.scores * sign, expected, rtol=1e-4, atol=1e-4)
