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
# # Does it help to initialize from an addition model?
#
# The weights of a trained addition model, the *parent*, are copied into the first
# layers and heads of a new model, which then learns to add and subtract. Quirke, Neo
# and Barez (2024, [arXiv 2402.02619](https://arxiv.org/abs/2402.02619)) report three
# results. Training works best if the copied weights are not frozen. Models with a
# parent are more accurate than models with random initialization. Most of the inserted
# nodes are reused, by both operations. The published tables are inconclusive about the
# second result: for some sizes, models with random initialization are wrong less often.
#
# This page compares the models of this run that have a parent with their parents and with
# models of the same size with random initialization.

# %% tags=["parameters"]
facts = "results/demo/tables/facts.json"
accuracy = "results/demo/tables/arith_accuracy.csv"
curves = ["results/demo/arith/ins1_mix_d3_l3_h4_t6K_s1/curve.csv"]
reuse = ["results/demo/arith/ins1_mix_d3_l3_h4_t6K_s1/reuse.csv"]
figures = "results/demo/figures/parameter_transfer"

# %%
from pathlib import Path

from IPython.display import SVG, Markdown, display

from mathprobe import files
from mathprobe.paper import circuit_figures, tables
from mathprobe.paper import figures as draw
from mathprobe.paper.naming import decoder_labels

counted = tables.read(accuracy)
counted = counted[counted["class"] == "all"]
labels = decoder_labels(files.read_json(facts)["arith"]["models"])
curves_by_model = {labels[Path(path).parent.name]: tables.read(path) for path in curves}
reuse_by_model = {labels[Path(path).parent.name]: tables.read(path) for path in reuse}
print(f"{len(curves_by_model)} learning curves, {len(reuse_by_model)} models with a parent")

# %% [markdown]
# ## Training with and without a parent
#
# The figure shows the share of right answers during training, one panel per operation,
# and the loss. A curve that starts higher or rises earlier benefits from the parent.

# %%
if curves_by_model:
    figure = circuit_figures.learning_curves(curves_by_model)
else:
    figure = draw.empty_figure()
draw.save(figure, Path(figures) / "transfer_curves")
SVG(filename=str(Path(figures) / "transfer_curves.svg"))

# %% [markdown]
# ## Wrong answers per million
#
# The table includes exact (Clopper-Pearson) 95 % intervals and the published value of
# the same model.

# %%
columns = ["model", "operation", "per_million", "low", "high", "published"]
formats = dict.fromkeys(columns[2:], "{:,.1f}")
counted[columns].style.format(formats, na_rep="–").hide(axis="index")

# %% [markdown]
# ## Are the inserted nodes reused?
#
# The table shows the number of useful nodes of the parent, and how many of them are
# useful in the child: for any question, for sums (S), differences (M) and negative
# differences (N), and for several of these classes. The last row counts the nodes that
# still perform a sub-task of the parent.

# %%
for name, table in reuse_by_model.items():
    table = table.assign(share=table["count"] / table["total"])
    styled = table.style.format({"share": "{:.0%}"}, na_rep="–").hide(axis="index")
    display(Markdown(f"**{name}**"), styled)
