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
# # Which training distributions generalize, and to which test distributions?
#
# A transformer reads a random symmetric matrix as a sequence of tokens and writes an
# answer, such as the eigenvalues of the matrix, as tokens. It is trained on matrices whose
# eigenvalues follow one distribution and tested on seven. Four of the distributions are
# **symmetric** about zero (semicircle, uniform, Gaussian, Laplace). Three are **positive**
# (the absolute values of semicircle and Laplace, and Marchenko-Pastur).
#
# Charton (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170)) reports that
# generalization is not symmetric: models trained on wide symmetric distributions also
# generalize to positive ones, while models trained on positive distributions fail on
# symmetric ones. This page compares the models of this run with the published
# accuracies.

# %% tags=["parameters"]
ood = ["results/demo/tables/ood_eigenvalues_n2.csv"]
tolerances = ["results/demo/tables/tolerances_eigenvalues_n2.csv"]
published = ["paper/published/accuracy.csv", "paper/published/labels.csv"]
figures = "results/demo/figures/generalization"

# %%
import dataclasses
from pathlib import Path

import pandas as pd
from IPython.display import SVG, Markdown, display

from mathprobe.linalg.distributions import components
from mathprobe.paper import figures as draw
from mathprobe.paper import pivots, tables
from mathprobe.paper import published as printed
from mathprobe.paper.naming import group

numbers = printed.read_all(published)
labels = printed.labels(numbers)
matrices = pivots.make_pivots("ood", tables.read_concat(ood), numbers)


def named(wide):
    """Label models and test distributions with their published names."""
    wide = wide.set_axis(draw.model_labels(wide.index, labels))
    wide = wide.rename(columns=labels.__getitem__)
    return wide.rename_axis(index="trained on", columns="tested on")


def percent(wide):
    """Format shares as percentages."""
    return wide.style.format("{:.1%}", na_rep="–")


for matrix in matrices:
    print(f"{matrix.title}: seeds per model: {matrix.largest('seeds')};")
    print(f"  test examples per distribution: {matrix.rows['examples'].min():,}")

# %% [markdown]
# ## Accuracy by training and test distribution
#
# An answer is correct if its relative L1 error is below 5 %. Rows are training
# distributions and columns are test distributions. The diagonal is in distribution,
# everything else is out of distribution.
#
# Read each heat map by blocks. The upper right block (*symmetric to positive*) and the
# lower left block (*positive to symmetric*) would be equally bright if generalization
# worked in both directions. The last row is the oracle accuracy: the accuracy of exact
# solutions after input and output have been rounded by the encodings. A model can
# exceed it only by lucky rounding. If the same table is published, the published values
# and the differences (in points) are shown beside ours.

# %%
for matrix in matrices:
    stem = Path(figures) / f"ood_{matrix.name}"
    draw.save(draw.heatmaps(matrix, labels), stem)
    display(Markdown(f"**{matrix.title}**"), SVG(filename=f"{stem}.svg"))

# %% [markdown]
# If a task has several sizes, the next figure shows its accuracy matrices side by side,
# and the last published one. With larger matrices, the pattern should approach the
# published pattern.

# %%
for task, sizes in pivots.by_size(matrices).items():
    stem = Path(figures) / f"trend_{task}"
    draw.save(draw.trend(sizes, labels), stem)
    display(Markdown(f"**{task}, {len(sizes)} matrices**"), SVG(filename=f"{stem}.svg"))

# %% [markdown]
# The next table shows the measured accuracies with their 95 % intervals (for several
# seeds: ± the standard deviation) and the published values, if any. The last row is the
# oracle accuracy.


# %%
def accuracy_text(row):
    """Format an accuracy with its uncertainty and the published value."""
    if pd.isna(row["accuracy"]):
        return "–"
    spread = f"± {row['spread']:.1%}"
    interval = f"({100 * row['low']:.1f}–{100 * row['high']:.1f})"
    text = f"{row['accuracy']:.1%} {interval if pd.isna(row['spread']) else spread}"
    known = not pd.isna(row.get("published"))
    return f"{text}, published {row['published']:.0%}" if known else text


def format_cells(pivot, format_row):
    """Return formatted cells: a row per model, a column per test or tolerance."""
    rows = pivot.rows.assign(text=pivot.rows.apply(format_row, axis="columns"))
    return dataclasses.replace(pivot, rows=rows).wide("text")


for matrix in matrices:
    cells = named(format_cells(matrix, accuracy_text))
    oracle = matrix.oracle.map("{:.1%}".format, na_action="ignore").fillna("–")
    cells.loc["oracle"] = oracle.set_axis(cells.columns)
    display(Markdown(f"**{matrix.title}**"), cells.style)

# %% [markdown]
# ## How close are the answers?
#
# The table shows, for every model on its training distribution, the share of answers
# within a tolerance, with its 95 % interval, and the oracle accuracy. *malformed*:
# share of answers that are not well-formed numbers.


# %%
def accuracy_and_oracle(row):
    """Format an accuracy with its interval and the oracle accuracy."""
    oracle = "" if pd.isna(row["oracle"]) else f", oracle {row['oracle']:.1%}"
    return accuracy_text(row) + oracle


for pivot in pivots.make_pivots("tolerances", tables.read_concat(tolerances), {}):
    wide = format_cells(pivot, accuracy_and_oracle)
    worst = pivot.rows.groupby(["train", "recipe"])["malformed"].max()
    wide = wide.rename(columns="{:g}".format)
    wide["malformed"] = worst.reindex(wide.index).map("{:.2%}".format)
    shown = wide.set_axis(draw.model_labels(wide.index, labels)).rename_axis("trained on")
    display(Markdown(f"**{pivot.title}**"), shown.style)

# %% [markdown]
# ## The asymmetry in four numbers
#
# The table shows the mean accuracy over all pairs of distributions in a block.
# *symmetric to positive* means trained on symmetric distributions and tested on
# positive ones. If the published asymmetry holds, its mean is above that of *positive
# to symmetric*.

# %%
blocks = {}
for matrix in matrices:
    names = matrix.rows["train"].map(group) + " to " + matrix.rows["test"].map(group)
    blocks[matrix.title] = matrix.rows["accuracy"].groupby(names, sort=False).mean()
percent(pd.DataFrame(blocks).T)

# %% [markdown]
# ## Which training distribution is the safest choice?
#
# If the test distribution is unknown, the worst test matters. For each training
# distribution, the table shows the in-distribution accuracy, the mean and the minimum
# over all other distributions, and the test distribution with the minimum.


# %%
def worst_cases(matrix):
    """Return in-distribution, mean and lowest out-of-distribution accuracy of each model."""
    scores = matrix.rows
    model = ["train", "recipe"]
    pairs = zip(scores["test"], scores["train"], strict=True)
    own = pd.Series([test in components(train) for test, train in pairs], scores.index)
    ood = scores[~own].dropna(subset="accuracy")
    in_distribution = scores[own].groupby(model)["accuracy"].mean()
    worst = ood.loc[ood.groupby(model)["accuracy"].idxmin()].set_index(model)
    columns = {
        "in distribution": in_distribution,
        "mean OOD": ood.groupby(model)["accuracy"].mean(),
        "worst OOD": worst["accuracy"],
        "worst test": worst["test"].map(labels.__getitem__),
    }
    summary = pd.DataFrame(columns).reindex(pd.MultiIndex.from_tuples(matrix.models))
    summary = summary.set_axis(draw.model_labels(matrix.models, labels))
    return summary.rename_axis("trained on")


shares = ["in distribution", "mean OOD", "worst OOD"]
for matrix in matrices:
    summary = worst_cases(matrix).reset_index().style.format("{:.1%}", shares, na_rep="–")
    display(Markdown(f"**{matrix.title}**"), summary.hide(axis="index"))

# %% [markdown]
# ## How far from the published values?
#
# For each published table, the next cell counts the pairs of training and test
# distribution whose published value lies outside the 95 % interval of ours, and lists
# the ten largest gaps. The interval includes the variation between test examples, not
# between training runs. Published values are rounded to whole percents, so a difference
# of half a percent is allowed.

# %%
rounding = 0.005
for matrix in matrices:
    compared = matrix.rows.dropna(subset=["published", "accuracy"])
    compared = compared.assign(gap=compared["accuracy"] - compared["published"])
    below = compared["published"] + rounding < compared["low"]
    above = compared["published"] - rounding > compared["high"]
    outside = compared[below | above].sort_values("gap", key=abs, ascending=False)
    display(Markdown(f"**{matrix.title}**"))
    if compared.empty:
        print("No table is published for this task and size.")
        continue
    print(f"{len(outside)} of {len(compared)} pairs lie outside.")
    shares = ["accuracy", "low", "high", "published"]
    formats = dict.fromkeys(shares, "{:.1%}") | {"gap": "{:+.1%}"}
    formats |= dict.fromkeys(["train", "test"], labels.__getitem__)
    listed = outside.head(10)[["train", "test", *shares, "gap"]]
    if not listed.empty:
        display(listed.style.format(formats).hide(axis="index"))
