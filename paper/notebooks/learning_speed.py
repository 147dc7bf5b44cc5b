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
# # Which training distribution learns fastest, and on which test?
#
# A transformer reads a random symmetric matrix as a sequence of tokens and writes the
# answer to a question about it, such as its eigenvalues. Each model here was trained on
# matrices whose eigenvalues follow one distribution, and while it was trained its accuracy was
# measured, again and again, on fixed examples of a few test distributions.
#
# One would expect the model that trains on the distribution of the test to be the first to
# master it. Charton (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170), Tables
# 6 and 7) reports otherwise: models of Laplace and Gaussian spectra need fewer examples
# to master the semicircle than the model that sees nothing else. This page reads the
# same counts off the curves of this run and sets the printed ones beside them.

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
    print(f"{speed.title}: seeds of each model: {speed.largest('seeds')}")
    print(f"  {budget:,} examples each, a point of the curve every {step:,}")

# %% [markdown]
# ## The curves
#
# Accuracy against the number of training examples, on a logarithmic axis. A line that
# lies further to the left learns faster. The dotted line is the accuracy that the
# tables below ask for; where there are several seeds, a band goes from the worst to the
# best. Dashed lines are models of positive distributions. A line that is still rising at the
# right edge has not had enough examples to tell what its distribution can teach.

# %%
targets = {speed.name: speed.largest("target") for speed in speeds}
for points in curves:
    stem = Path(figures) / f"curves_{points.name}"
    draw.save(draw.learning_curves(points, labels, targets.get(points.name)), stem)
    display(Markdown(f"**{points.title}**"), SVG(filename=f"{stem}.svg"))

# %% [markdown]
# ## How many examples to the target?
#
# A curve is known at its points only. Between two points it is taken as straight, and
# the count is where this line first meets the target; a count is therefore uncertain by
# up to the distance between two points, which is the column *resolution*. With several
# seeds, *examples* is the mean of their counts and *spread* the standard deviation;
# where a seed never reached the target there is no mean, and *best* says how far the
# model came. The last column is what the paper prints for the same size, for its own
# target: 99 % of eigenvalues (Table 6), 90 % of eigenvectors (Table 7).


# %%
def count(number):
    """Show a number of examples in thousands."""
    return "–" if pd.isna(number) else f"{number / 1000:,.0f} k"


def shown(table):
    """Show counts in thousands, shares as percentages, distributions as the paper names them."""
    formats = {
        name: count
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
    display(Markdown(f"**{speed.title}**"), shown(speed.rows[columns]))

# %% [markdown]
# ## Who is first?
#
# For every test: the distribution that reaches the target first, the runner-up, and how far
# apart the two are, in steps between two points of a curve. A lead of less than one
# step is no lead. Then the distribution of the test itself: where it is not the first, another
# distribution teaches it faster than it teaches itself. Last, the first distribution in print.


# %%
def ranked(rows, count):
    """Name the distributions that reached the target, fastest first."""
    rows = rows.dropna(subset=count).sort_values(count, kind="stable")
    return [labels[distribution] for distribution in rows["train"]]


def race(rows, test):
    """Tell who is first on a test, by how much, and how its own distribution does."""
    counts = rows["examples"].dropna().sort_values()
    first, second, *_ = [*ranked(rows, "examples"), "none", "none"]
    return {
        "test": labels[test],
        "first": first,
        "examples": counts.iloc[0] if len(counts) else None,
        "second": second,
        "lead in steps": counts.diff().iloc[1:2].max() / rows["resolution"].max(),
        "its own distribution": rows.loc[rows["train"] == test, "examples"].min(),
        "first in print": next(iter(ranked(rows, "published")), "–"),
    }


races = [
    {"table": speed.title, **race(rows, test)}
    for speed in speeds
    for test, rows in speed.rows.groupby("test", sort=False)
]
formats = {"examples": count, "its own distribution": count, "lead in steps": "{:.1f}"}
pd.DataFrame(races).style.format(formats, na_rep="–").hide(axis="index")
