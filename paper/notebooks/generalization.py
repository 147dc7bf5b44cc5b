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
# # Which training distributions generalise, and to which tests?
#
# A transformer reads a random symmetric matrix as a sequence of tokens and writes the
# answer to a question about it, such as its eigenvalues, as tokens too. It is trained
# on matrices whose eigenvalues follow one distribution and tested on seven. The distributions come in
# two groups: four are **symmetric** about zero (semicircle, uniform, Gaussian,
# Laplace), three are **positive** (the absolute values of semicircle and Laplace, and
# Marchenko-Pastur).
#
# Charton (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170)) reports that
# generalisation is not symmetric: models trained on wide symmetric distributions also solve
# positive matrices, while models trained on positive matrices fail on symmetric ones.
# This page looks at the models of this run and sets the printed numbers beside them.

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

from mathprobe.paper import figures as draw
from mathprobe.paper import pivots, tables
from mathprobe.paper import published as printed
from mathprobe.paper.naming import group

numbers = printed.read_all(published)
labels = printed.labels(numbers)
squares = pivots.make_pivots("ood", tables.read_concat(ood), numbers)


def named(wide):
    """Name models and test distributions as the paper does."""
    wide = wide.set_axis(draw.model_labels(wide.index, labels))
    wide = wide.rename(columns=labels.__getitem__)
    return wide.rename_axis(index="trained on", columns="tested on")


def percent(wide):
    """Show shares as percentages."""
    return wide.style.format("{:.1%}", na_rep="–")


for square in squares:
    print(f"{square.title}: {square.rows['examples'].min():,} test examples per distribution,")
    print(f"  seeds of each model: {square.largest('seeds')}")

# %% [markdown]
# ## Accuracy by training and test distribution
#
# An answer counts as correct when its relative L1 error is below 5 %. Rows are training
# distributions, columns are test distributions; the diagonal is a model at home, everything else is out
# of distribution.
#
# Read a map by blocks. The upper right block, *symmetric to positive*, and the lower
# left block, *positive to symmetric*, would be equally bright if generalisation worked
# both ways. The row *exact answer* is a ceiling: what the true answer scores after its
# input and output have been rounded to the digits that the tokens hold. No model can be
# expected to do better, but for luck in rounding. Where the paper prints the same
# table, it stands beside, and then the difference, in points.

# %%
for square in squares:
    stem = Path(figures) / f"ood_{square.name}"
    draw.save(draw.heatmaps(square, labels), stem)
    display(Markdown(f"**{square.title}**"), SVG(filename=f"{stem}.svg"))

# %% [markdown]
# The measured numbers, each with its 95 % interval (of several seeds: ± their standard
# deviation) and, where there is one, the printed value; last, what exact answers reach.


# %%
def beside(row):
    """Write an accuracy with its uncertainty and the printed value."""
    if pd.isna(row["accuracy"]):
        return "–"
    spread = f"± {row['spread']:.1%}"
    interval = f"({row['low']:.1%}–{row['high']:.1%})"
    text = f"{row['accuracy']:.1%} {interval if pd.isna(row['spread']) else spread}"
    known = not pd.isna(row.get("published"))
    return f"{text}, paper {row['published']:.0%}" if known else text


def texts(pivot, write):
    """Write every row of a pivot as text: models down, a column per test or bound."""
    rows = pivot.rows.assign(text=pivot.rows.apply(write, axis="columns"))
    return dataclasses.replace(pivot, rows=rows).wide("text")


for square in squares:
    numbers_of = named(texts(square, beside))
    exact = square.oracle.map("{:.1%}".format)
    numbers_of.loc["exact answer"] = exact.set_axis(numbers_of.columns)
    display(Markdown(f"**{square.title}**"), numbers_of.style)

# %% [markdown]
# ## How close are the answers?
#
# Every model on the distribution of its training: the share of answers within a tolerance, with
# its 95 % interval, and what exact answers reach through the same tokens. *Malformed*:
# answers that are not well-formed numbers.


# %%
def within(row):
    """Write an accuracy with its interval, and what exact answers reach."""
    exact = "" if pd.isna(row["oracle"]) else f", exact {row['oracle']:.1%}"
    return beside(row) + exact


for pivot in pivots.make_pivots("tolerances", tables.read_concat(tolerances), {}):
    wide = texts(pivot, within)
    worst = pivot.rows.groupby(["train", "recipe"])["malformed"].max()
    wide["malformed"] = worst.reindex(wide.index).map("{:.2%}".format)
    shown = wide.set_axis(draw.model_labels(wide.index, labels)).rename_axis("trained on")
    display(Markdown(f"**{pivot.title}**"), shown.style)

# %% [markdown]
# ## The asymmetry in four numbers
#
# Mean accuracy over all pairs of distributions in a block: *symmetric to positive* reads,
# trained on symmetric distributions and tested on positive ones. Where wide symmetric distributions teach
# more than positive ones, its mean stands above that of *positive to symmetric*.

# %%
blocks = {}
for square in squares:
    names = square.rows["train"].map(group) + " to " + square.rows["test"].map(group)
    blocks[square.title] = square.rows["accuracy"].groupby(names, sort=False).mean()
percent(pd.DataFrame(blocks).T)

# %% [markdown]
# ## Which training distribution is the safest choice?
#
# A model is as good as its worst test. For each training distribution: accuracy at home, the
# mean and the minimum over all other distributions, and where that minimum lies.


# %%
def safety(square):
    """Sum up each model: at home, away, and where it is worst."""
    scores = square.rows
    model = ["train", "recipe"]
    away = scores[scores["train"] != scores["test"]].dropna(subset="accuracy")
    home = scores[scores["train"] == scores["test"]].set_index(model)["accuracy"]
    worst = away.loc[away.groupby(model)["accuracy"].idxmin()].set_index(model)
    columns = {
        "at home": home,
        "mean away": away.groupby(model)["accuracy"].mean(),
        "worst away": worst["accuracy"],
        "worst test": worst["test"].map(labels.__getitem__),
    }
    summary = pd.DataFrame(columns).reindex(pd.MultiIndex.from_tuples(square.models))
    summary = summary.set_axis(draw.model_labels(square.models, labels))
    return summary.rename_axis("trained on")


shares = ["at home", "mean away", "worst away"]
for square in squares:
    summary = safety(square).reset_index().style.format("{:.1%}", shares, na_rep="–")
    display(Markdown(f"**{square.title}**"), summary.hide(axis="index"))

# %% [markdown]
# ## How far from the printed numbers?
#
# Where the paper prints a table for a question and size, the next cell counts the pairs
# of distributions whose printed value lies outside the 95 % interval of the measured one, and
# lists the ten widest gaps. The interval covers the choice of test examples only, not a
# second training, and the printed values are rounded to whole percents, so half a
# percent is allowed for.

# %%
rounding = 0.005
for square in squares:
    beside = square.rows.dropna(subset=["published", "accuracy"])
    beside = beside.assign(gap=beside["accuracy"] - beside["published"])
    below = beside["published"] + rounding < beside["low"]
    above = beside["published"] - rounding > beside["high"]
    outside = beside[below | above].sort_values("gap", key=abs, ascending=False)
    display(Markdown(f"**{square.title}**"))
    if beside.empty:
        print("The paper prints no table for this question and size.")
        continue
    print(f"{len(outside)} of {len(beside)} pairs lie outside.")
    shares = ["accuracy", "low", "high", "published"]
    formats = dict.fromkeys(shares, "{:.1%}") | {"gap": "{:+.1%}"}
    formats |= dict.fromkeys(["train", "test"], labels.__getitem__)
    listed = outside.head(10)[["train", "test", *shares, "gap"]]
    if not listed.empty:
        display(listed.style.format(formats).hide(axis="index"))
