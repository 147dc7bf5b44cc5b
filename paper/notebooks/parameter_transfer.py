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
# # Does a model that subtracts learn better from one that adds?
#
# Into the first layers and heads of a new model go the weights of a trained model that
# adds; then it learns to add and to subtract. Quirke, Neo and Barez (2024, [arXiv
# 2402.02619](https://arxiv.org/abs/2402.02619)) report that this works best when the
# weights are free to change afterwards, that such models are more accurate than those
# from random weights, and that most of the inserted nodes are used again, by both
# operations. Their own tables are of two minds about the second: of models of one size,
# some from random weights are wrong less often.
#
# This page sets the models of this run that have a parent beside their parents and
# beside models of the same size from random weights.

# %% tags=["parameters"]
accuracy = "results/demo/tables/arith_accuracy.csv"
curves = ["results/demo/arith/ins1_mix_d3_l3_h4_t6K_s1/curve.csv"]
reuse = ["results/demo/arith/ins1_mix_d3_l3_h4_t6K_s1/reuse.csv"]
figures = "results/demo/figures/parameter_transfer"

# %%
from pathlib import Path

from IPython.display import SVG, Markdown, display

from mathprobe.paper import circuit_figures, tables
from mathprobe.paper import figures as draw

counted = tables.read(accuracy)
counted = counted[counted["class"] == "all"]
tracks = {Path(path).parent.name: tables.read(path) for path in curves}
used = {Path(path).parent.name: tables.read(path) for path in reuse}
print(f"{len(tracks)} models, {len(used)} with a parent whose nodes were followed")

# %% [markdown]
# ## Learning with and without a parent
#
# The share of right answers while the models learn, an operation a panel, and the loss.
# A curve that starts higher, or rises earlier, has something from its parent.

# %%
figure = circuit_figures.learning_curves(tracks) if tracks else draw.empty_figure()
draw.save(figure, Path(figures) / "transfer_curves")
SVG(filename=str(Path(figures) / "transfer_curves.svg"))

# %% [markdown]
# ## Wrong answers in a million
#
# With exact (Clopper-Pearson) 95 % intervals, and what is published of the same model.

# %%
columns = ["model", "operation", "per_million", "low", "high", "published"]
formats = dict.fromkeys(columns[2:], "{:,.1f}")
counted[columns].style.format(formats, na_rep="–").hide(axis="index")

# %% [markdown]
# ## What became of the inserted nodes?
#
# Nodes that mattered in the parent, and how many of them matter in the child: in all, to
# sums (S), to differences (M) and to negative ones (N), to several of these, and how
# many still do a sub-task that they did before.

# %%
for name, table in used.items():
    table = table.assign(share=table["count"] / table["total"])
    styled = table.style.format({"share": "{:.0%}"}, na_rep="–").hide(axis="index")
    display(Markdown(f"**{name}**"), styled)
