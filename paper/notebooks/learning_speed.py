# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which training distribution learns fastest?
#
# A transformer reads a random symmetric matrix as a sequence of tokens and writes an
# answer, such as the eigenvalues of the matrix. Each model is trained on matrices whose
# eigenvalues follow one distribution. During training, its accuracy is measured repeatedly
# on fixed examples of a few test distributions.
#
# One would expect the model trained on the test distribution to learn it first. Charton
# (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170), Tables 6 and 7) reports
# otherwise: models trained on Laplace and Gaussian eigenvalues need fewer examples to
# reach a given accuracy on the semicircle than the model trained on the semicircle.
# This page computes the same numbers of examples from the learning curves of this run
# and compares them with the published ones.

# %% tags=["parameters"]
speeds = ["results/demo/tables/learning_speed_eigenvalues_n2.csv"]
curves = ["results/demo/tables/curves_eigenvalues_n2.csv"]
published = ["paper/published/learning_speed.csv", "paper/published/labels.csv"]
figures = "results/demo/figures/learning_speed"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG, Markdown, display

from mathprobe.paper import figures as draw
from mathprobe.paper import pivots, tables
from mathprobe.paper import published as printed

numbers = printed.read_all(published)
labels = printed.labels(numbers)
speeds = pivots.make_pivots("learning_speed", tables.read_concat(speeds), numbers)
curves = pivots.make_pivots("curves", tables.read_concat(curves), {})

for speed in speeds:
    step, budget = speed.largest("resolution"), speed.largest("budget")
    print(f"{speed.title}: seeds per model: {speed.largest('seeds')};")
    print(f"  {budget:,} training examples, accuracy measured every {step:,}")

# %% [markdown]
# ## Learning curves
#
# The figure shows the accuracy against the number of training examples, on a
# logarithmic axis. The further left a curve rises, the faster the model learns. The
# dotted line is the target accuracy of the tables below. With several seeds, a band
# extends from the worst to the best seed. Dashed lines are models of positive
# distributions. A curve that still rises at the right edge has not converged and does
# not show the final accuracy.

# %%
targets = {speed.name: speed.largest("target") for speed in speeds}
for points in curves:
    stem = Path(figures) / f"curves_{points.name}"
    draw.save(draw.learning_curves(points, labels, targets.get(points.name)), stem)
    display(Markdown(f"**{points.title}**"), SVG(filename=f"{stem}.svg"))

# %% [markdown]
# ## How many examples to reach the target?
#
# Accuracy is interpolated linearly between two measurements, and the number of examples
# is the first crossing of the target. It is uncertain by up to the distance between two
# measurements, given in the column *resolution*. With several seeds, *examples* is the
# mean over seeds and *spread* the standard deviation. If a seed never reaches the
# target, there is no mean. *best* is the highest accuracy on the curve. The last column
# is the published number for the same size and for the published target: 99 % for
# eigenvalues (Table 6) and 90 % for eigenvectors (Table 7).


# %%
def thousands(number):
    """Format a number of examples in thousands."""
    return "–" if pd.isna(number) else f"{number / 1000:,.0f} k"


def styled(table):
    """Format numbers of examples in thousands and shares as percentages."""
    formats = {
        name: thousands
        for name in ("examples", "spread", "resolution", "published")
        if name in table
    }
    formats |= dict.fromkeys({"target", "best"} & set(table), "{:.1%}")
    names = {
        name: labels.__getitem__
        for name in ("train", "test")
        if name in table
    }
    return table.style.format({**formats, **names}, na_rep="–").hide(axis="index")


for speed in speeds:
    columns = ["train", "test", "target", "examples", "spread", "resolution"]
    columns += ["best", "published"]
    display(Markdown(f"**{speed.title}**"), styled(speed.rows[columns]))

# %% [markdown]
# ## Which distribution is first?
#
# The table shows, for every test distribution, the training distribution that reaches
# the target first, the second one, and the distance between the two in measurement
# steps. A lead of less than one step cannot be resolved. *in distribution* is the
# number of examples of the model trained on the test distribution itself. The last
# column is the first distribution in the published table.


# %%
def ranked(rows, count):
    """Return the labels of the distributions that reached the target, fastest first."""
    rows = rows.dropna(subset=count).sort_values(count, kind="stable")
    return [labels[distribution] for distribution in rows["train"]]


def ranking(rows, test):
    """Return the two fastest distributions on a test, their distance, and other results."""
    counts = rows["examples"].dropna().sort_values()
    first, second, *_ = [*ranked(rows, "examples"), "none", "none"]
    return {
        "test": labels[test],
        "first": first,
        "examples": counts.iloc[0] if len(counts) else None,
        "second": second,
        "lead in steps": counts.diff().iloc[1:2].max() / rows["resolution"].max(),
        "in distribution": rows.loc[rows["train"] == test, "examples"].min(),
        "first, published": next(iter(ranked(rows, "published")), "–"),
    }


rankings = [
    {"table": speed.title, **ranking(rows, test)}
    for speed in speeds
    for test, rows in speed.rows.groupby("test", sort=False)
]
formats = {"examples": thousands, "in distribution": thousands, "lead in steps": "{:.1f}"}
pd.DataFrame(rankings).style.format(formats, na_rep="–").hide(axis="index")
