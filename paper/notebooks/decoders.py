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
# # How often are small decoders wrong, and do they work alike?
#
# A small decoder learns to add, to subtract, or both, from endless random questions. Some
# of those that do both begin with the weights of one that adds, its *parent*. Quirke, Neo
# and Barez (2024, [arXiv 2402.02619](https://arxiv.org/abs/2402.02619)) ask each a million
# questions of every operation and count wrong answers. This page sets the models of this
# run beside the published ones, model by model and width by width.

# %% tags=["parameters"]
accuracy = "results/demo/tables/arith_accuracy.csv"
curves = "results/demo/tables/arith_curves.csv"
circuits = "results/demo/tables/arith_circuits.csv"
figures = "results/demo/figures/decoders"

# %%
from pathlib import Path

from IPython.display import SVG, display

from mathprobe.paper import arith_figures, circuit_figures, figures as draw, tables

table = tables.read(accuracy)
points = tables.read(curves)
every = table[table["class"] == "all"]
tested = every.dropna(subset=["fails"])
print(f"models trained and tested: {tested['model'].nunique()}")
print(f"models with a published count: {every.dropna(subset=['published'])['model'].nunique()}")

# %% [markdown]
# ## How the loss falls
#
# The loss of a training against the questions that it has seen, a line per model. It is
# the mean over the tokens of the answer, sign included, of what the right token costs.

# %%
stem = Path(figures) / "arith_losses"
draw.save(arith_figures.losses(points), stem)
display(SVG(filename=f"{stem}.svg"))

# %% [markdown]
# Where the loss ended, beside the published one:

# %%
ends_of = every.drop_duplicates("model")[["model", "digits", "loss", "published_loss"]]
losses = {"loss": "{:.1e}", "published_loss": "{:.1e}"}
ends_of.style.format(losses, na_rep="–").hide(axis="index")

# %% [markdown]
# ## How often the answer is wrong
#
# Wrong answers to a million questions of each operation, against the width of the
# numbers. Filled: this run, with exact 95 % intervals. Hollow: published.

# %%
stem = Path(figures) / "arith_transfer"
draw.save(arith_figures.transfer(table), stem)
display(SVG(filename=f"{stem}.svg"))

# %% [markdown]
# Which questions are wrong: S additions, M and N subtractions without and with a negative
# answer; 0 without any carry, a larger number with a longer cascade of carries. Wrong
# answers to a million of each class.

# %%
classes = table[table["class"] != "all"].pivot_table(
    "per_million", "model", "class", sort=False
)
classes.sort_index(axis="columns").style.format("{:,.0f}", na_rep="–")

# %% [markdown]
# ## Width by width
#
# The best and the worst model of each kind, by subtractions, ours and in print. Where a
# kind has one model only, the two are the same; a difference between two single
# trainings is no proof of anything.

# %%
pairs = every[(every["operation"] == "subtraction") & every["family"].isin(["mixed", "inserted"])]
ends = pairs.groupby(["digits", "family"]).agg(
    models=("model", "nunique"),
    best=("per_million", "min"),
    worst=("per_million", "max"),
    least=("published", "min"),
    most=("published", "max"),
)
names = {"family": "kind", "least": "best in print", "most": "worst in print"}
shown = ends.reset_index().rename(columns=names)
rates = dict.fromkeys(shown.columns[3:], "{:,.0f}")
shown.style.format(rates, na_rep="–").hide(axis="index")

# %% [markdown]
# ## Do they work alike?
#
# Of the nodes that matter in each model, a row each: the share that additions, differences
# and negative differences need, the share that all three need, and the share of heads and
# of MLPs of which a sub-task is known. A model that only adds has nothing to subtract.

# %%
maps = tables.read(circuits)
stem = Path(figures) / "arith_maps"
draw.save(circuit_figures.node_shares(maps) if len(maps) else draw.empty_figure(), stem)
display(SVG(filename=f"{stem}.svg"))
