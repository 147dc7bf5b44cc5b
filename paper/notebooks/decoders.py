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
# # How accurate are small decoders, and do they use the same circuit?
#
# A small decoder learns to add, to subtract, or both, from an unlimited supply of random
# questions. Some models of both operations are initialized from an addition model, their
# *parent*. Quirke, Neo and Barez (2024, [arXiv 2402.02619](https://arxiv.org/abs/2402.02619))
# ask every model a million questions of each operation and count wrong answers. This page
# compares the models of this run with the published ones, by model and by number of digits.

# %% tags=["parameters"]
facts = "results/demo/tables/facts.json"
accuracy = "results/demo/tables/arith_accuracy.csv"
curves = "results/demo/tables/arith_curves.csv"
circuits = "results/demo/tables/arith_circuits.csv"
figures = "results/demo/figures/decoders"

# %%
from pathlib import Path

from IPython.display import SVG, display

from mathprobe import files
from mathprobe.paper import arith_figures, circuit_figures, figures as draw, tables
from mathprobe.paper.naming import decoder_labels

table = tables.read(accuracy)
points = tables.read(curves)
every = table[table["class"] == "all"]
tested = every.dropna(subset=["fails"])
print(f"models trained and tested: {tested['model'].nunique()}")
print(f"models with a published count: {every.dropna(subset=['published'])['model'].nunique()}")

# %% [markdown]
# ## Training loss
#
# The figure shows the training loss against the number of training questions, one line
# per model. The loss is the mean cross-entropy over the answer tokens, including the
# sign.

# %%
stem = Path(figures) / "arith_losses"
draw.save(arith_figures.losses(points), stem)
display(SVG(filename=f"{stem}.svg"))

# %% [markdown]
# The final loss, beside the published one:

# %%
final = every.drop_duplicates("model")[["model", "digits", "loss", "published_loss"]]
losses = {"loss": "{:.1e}", "published_loss": "{:.1e}"}
final.style.format(losses, na_rep="–").hide(axis="index")

# %% [markdown]
# ## Wrong answers
#
# The figure shows wrong answers per million questions of each operation, against the
# number of digits. Filled: this run, with exact 95 % intervals. Hollow: published.

# %%
stem = Path(figures) / "arith_transfer"
draw.save(arith_figures.transfer(table), stem)
display(SVG(filename=f"{stem}.svg"))

# %% [markdown]
# The next table shows wrong answers per million questions of each complexity class. S:
# additions. M: subtractions with a non-negative answer. N: subtractions with a negative
# answer. 0: no carry; the larger the number, the longer the cascade of carries.

# %%
classes = table[table["class"] != "all"].pivot_table(
    "per_million", "model", "class", sort=False
)
classes.sort_index(axis="columns").style.format("{:,.0f}", na_rep="–")

# %% [markdown]
# ## By number of digits
#
# The table shows the best and the worst model of each kind, in wrong answers per
# million subtractions, for this run and as published. If a kind has only one model,
# best and worst are equal. A difference between two single training runs shows no
# general effect.

# %%
pairs = every[(every["operation"] == "subtraction") & every["family"].isin(["mixed", "inserted"])]
ends = pairs.groupby(["digits", "family"]).agg(
    models=("model", "nunique"),
    best=("per_million", "min"),
    worst=("per_million", "max"),
    least=("published", "min"),
    most=("published", "max"),
)
names = {"family": "kind", "least": "best, published", "most": "worst, published"}
shown = ends.reset_index().rename(columns=names)
rates = dict.fromkeys(shown.columns[3:], "{:,.0f}")
shown.style.format(rates, na_rep="–").hide(axis="index")

# %% [markdown]
# ## Do the models use the same circuit?
#
# The figure has one row per model: the shares of its useful nodes that sums,
# differences and negative differences need, the share that all three need, and the
# shares of heads and MLPs with a known sub-task. An addition model has no values for
# differences.

# %%
labels = decoder_labels(files.read_json(facts)["arith"]["models"])
maps = tables.read(circuits)
maps["model"] = maps["model"].map(labels)
stem = Path(figures) / "arith_maps"
draw.save(circuit_figures.node_shares(maps) if len(maps) else draw.empty_figure(), stem)
display(SVG(filename=f"{stem}.svg"))
