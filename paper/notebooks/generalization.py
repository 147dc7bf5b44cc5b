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
# # Which training laws generalise, and to which tests?
#
# A transformer reads a random symmetric matrix as a sequence of tokens and writes the
# answer to a question about it, such as its eigenvalues, as tokens too. It is trained
# on matrices whose eigenvalues follow one law and tested on seven. The laws come in
# two groups: four are **symmetric** about zero (semicircle, uniform, Gaussian,
# Laplace), three are **positive** (the absolute values of semicircle and Laplace, and
# Marchenko-Pastur).
#
# Charton (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170)) reports that
# generalisation is not symmetric: models trained on wide symmetric laws also solve
# positive matrices, while models trained on positive matrices fail on symmetric ones.
# This page looks at the models of this run and sets the printed numbers beside them.

# %% tags=["parameters"]
ood = "results/demo/tables/ood_eigenvalues_n2.csv"
curves = "results/demo/tables/curves_eigenvalues_n2.csv"
published = "paper/published/charton2022.yaml"
figures = "results/demo/figures"

# %%
from pathlib import Path

import pandas as pd
import yaml
from IPython.display import SVG, display

from mathprobe.paper import figures as draw

printed = yaml.safe_load(Path(published).read_text())
scores = pd.read_csv(ood)
points = pd.read_csv(curves)
table = draw.entry(Path(ood).stem, ["ood"])


def named(wide):
    """Name the laws of both axes as the paper does."""
    wide = wide.rename(index=lambda law: draw.label(law, printed))
    wide = wide.rename(columns=lambda law: draw.label(law, printed))
    return wide.rename_axis(index="trained on", columns="tested on")


def percent(wide):
    """Show shares as percentages."""
    return wide.style.format("{:.1%}", na_rep="–")


print(f"task: {table.task.replace('_', ' ')}, matrices: {table.n} x {table.n}")
print(f"test examples per law: {scores['examples'].min()}")

# %% [markdown]
# ## Accuracy by training and test law
#
# An answer counts as correct when its relative L1 error is below 5 %. Rows are training
# laws, columns are test laws; the diagonal is a model at home, everything else is out
# of distribution.

# %%
accuracy = draw.square(scores, "accuracy")
percent(named(accuracy))

# %% [markdown]
# The heat map shows the same numbers, with the two groups of laws set apart. Read it by
# blocks. The upper right block, *symmetric to positive*, and the lower left block,
# *positive to symmetric*, would be equally bright if generalisation worked both ways.
# The row *exact answer* is a ceiling: what the true answer scores after its input and
# output have been rounded to the digits that the tokens hold. No model can be expected
# to do better, but for luck in rounding.

# %%
stem = Path(figures) / "ood_heatmap"
draw.save(draw.heatmaps(scores, printed, table.task, table.n), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# ## The asymmetry in four numbers
#
# Mean accuracy over all pairs of laws in a block. Where wide symmetric laws teach more
# than positive ones, the mean of *symmetric to positive* stands above that of
# *positive to symmetric*.

# %%
blocks = scores.assign(
    trained=scores["train"].map(draw.group), tested=scores["test"].map(draw.group)
)
blocks = blocks.pivot_table("accuracy", "trained", "tested")
percent(blocks.reindex(index=draw.GROUPS, columns=draw.GROUPS))

# %% [markdown]
# ## Which training law is the safest choice?
#
# A model is as good as its worst test. For each training law: accuracy at home, the
# mean and the minimum over all other laws, and where that minimum lies.

# %%
away = scores[scores["train"] != scores["test"]]
home = scores[scores["train"] == scores["test"]].set_index("train")["accuracy"]
away = away.dropna(subset="accuracy")
worst = away.loc[away.groupby("train")["accuracy"].idxmin()].set_index("train")
summary = pd.DataFrame(
    {
        "at home": home,
        "mean away": away.groupby("train")["accuracy"].mean(),
        "worst away": worst["accuracy"],
        "worst test": worst["test"].map(lambda law: draw.label(law, printed)),
    }
).reindex(accuracy.index)
summary = summary.rename(index=lambda law: draw.label(law, printed))
summary = summary.rename_axis(index="trained on").reset_index()
shares = ["at home", "mean away", "worst away"]
summary.style.format("{:.1%}", subset=shares, na_rep="–").hide(axis="index")

# %% [markdown]
# ## How far from the printed numbers?
#
# Where the paper prints a table for this question and this size, the next cell lists
# the pairs of laws whose printed value lies outside the 95 % interval of the measured
# one, widest gap first. The interval covers the choice of test examples only, not a
# second training, and the printed values are rounded to whole percents, so half a
# percent is allowed for.

# %%
beside = scores.dropna(subset=["published", "accuracy"])
beside = beside.assign(gap=beside["accuracy"] - beside["published"])
rounding = 0.005
outside = (beside["published"] + rounding < beside["low"]) | (
    beside["published"] - rounding > beside["high"]
)
listed = beside[outside].sort_values("gap", key=abs, ascending=False, kind="stable")
listed = listed.head(10).drop(
    columns=["n", "recipe", "seeds", "examples", "oracle", "spread"]
)
for side in ("train", "test"):
    listed[side] = listed[side].map(lambda law: draw.label(law, printed))

if beside.empty:
    print("The paper prints no table for this question and size.")
else:
    print(f"{outside.sum()} of {len(beside)} pairs lie outside.")
if not listed.empty:
    shares = ["accuracy", "low", "high", "published"]
    formats = dict.fromkeys(shares, "{:.1%}") | {"gap": "{:+.1%}"}
    display(listed.style.format(formats).hide(axis="index"))

# %% [markdown]
# ## Learning curves
#
# Accuracy on fixed test laws while training goes on. Look at two things: whether a
# model that is trained elsewhere overtakes the one that is at home, and whether the
# dashed lines (positive training laws) leave the floor on a symmetric test at all. A
# line that is still rising at the right edge has not had enough examples to tell what
# its law can teach.

# %%
stem = Path(figures) / "learning_curves"
draw.save(draw.learning_curves(points, printed), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# At the last point of each curve:

# %%
last = points.loc[points.groupby(["train", "test"])["examples"].idxmax()]
ends = last.pivot_table("accuracy", "train", "test")
ends = ends.reindex(index=points["train"].unique(), columns=points["test"].unique())
percent(named(ends))
