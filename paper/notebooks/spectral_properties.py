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
# # Which properties of the solution do wrong answers have?
#
# A transformer reads a matrix as tokens and writes an answer as tokens: the eigenvalues
# and eigenvectors of a symmetric matrix, or the inverse of a matrix. The solutions have
# properties that the model is not given. Eigenvectors of a symmetric matrix have norm
# one and are orthogonal. The product of a matrix and its inverse is the identity.
#
# Charton (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170), section 2)
# reports that wrong answers retain some of these properties: their eigenvalues are
# right and their vectors have norm one, but they are not orthogonal. This page analyzes
# the wrong answers of the models of this run, in distribution. It compares them with
# the **oracle**: exact solutions after rounding by the same encodings.

# %% tags=["parameters"]
failures = ["results/demo/tables/failures_eigenvectors_n2.csv"]
predictions = ["results/demo/linalg/eigenvectors/uniform_wigner/n2/base/home.npz"]
ablations = ["results/demo/linalg/eigenvalues/semicircle/n2/base/ablations.csv"]
attention = ["results/demo/linalg/eigenvalues/semicircle/n2/base/attention.csv"]
published = ["paper/published/failures.csv", "paper/published/labels.csv"]
figures = "results/demo/figures/spectral_properties"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG, display

from mathprobe import files
from mathprobe.linalg.scores import is_below
from mathprobe.paper import failure_figures, head_figures, tables
from mathprobe.paper import figures as draw
from mathprobe.paper.published import read_all

rows = tables.read_concat(failures)
printed = read_all(published)["failures"]
models = [
    failure_figures.measurements(files.load_arrays(path), path.parent.name)
    for path in map(Path, predictions)
]
MODEL = ["task", "n", "recipe", "train"]


def shares_table(chosen, *index):
    """Format shares below bounds as a table with a column per bound."""
    table = chosen.pivot_table("value", [*MODEL, "quantity", *index], "at", sort=False)
    table = table.sort_index(axis="columns").style.format("{:.1%}", na_rep="–")
    return table.format_index("{:g}", axis="columns")


def statistics_table(chosen):
    """Format statistics as a table with the oracle and the published values."""
    columns = ["value", "low", "high", "oracle", "published", "notebook"]
    table = chosen.set_index([*MODEL, "group", "quantity", "at"])[columns]
    return table.style.format("{:.1%}", na_rep="–").format_index("{:g}", level="at")


for model in models:
    errors = model.quantities["error"], model.oracle["error"]
    right, oracle = (is_below(one, failure_figures.TOLERANCE).mean() for one in errors)
    print(f"{model.name}: {right:.1%} right, oracle {oracle:.1%}")

# %% [markdown]
# ## All answers
#
# The table shows, for each property, the share of answers whose deviation from it is
# below a bound. Angles are deviations from a right angle in radians, norms are
# deviations from one, errors and distances are relative. A malformed answer does not
# satisfy any bound.

# %%
shares = rows[rows["statistic"] == "below"]
shares_table(shares[shares["group"] == "all"])

# %% [markdown]
# ## Right and wrong answers
#
# The table shows the same shares for right answers (relative error below 5 %) and for
# wrong ones. If wrong answers retain a property, the two rows are similar. If they do
# not, the row of wrong answers has lower shares.

# %%
by_group = shares[(shares["tolerance"] == 0.05) & (shares["quantity"] != "error")]
shares_table(by_group, "group")

# %% [markdown]
# The figure shows the shares for all bounds. If the line of wrong answers follows the
# line of right ones, failure is unrelated to the property. If it is far below at the
# dotted line, wrong answers have lost the property. The oracle shows the limit set by
# rounding: a model cannot be expected to satisfy a property more closely.

# %%
stem = Path(figures) / "failure_properties"
draw.save(failure_figures.properties(models, printed), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# ## Comparison with published values
#
# The table shows statistics for which the text of Charton (2022) (*published*) or the
# stored output of its notebook (*notebook*) has a value for the same task, size, recipe
# and training distribution. Intervals include the variation between test examples. Note
# that the notebook computes cosines between rows, but the text states angles between
# rows and columns, in radians.

# %%
known = shares.dropna(subset=["published", "notebook"], how="all")
if known.empty:
    print("Nothing is published for these models: size or distribution differ.")
statistics_table(known)

# %% [markdown]
# ## Condition numbers and norms
#
# The table shows means, standard deviations and quantiles over right (relative error
# below 5 %), wrong and all answers, with the oracle and the published values.

# %%
near = rows["tolerance"].isna() | (rows["tolerance"] == 0.05)
others = rows[near & (rows["statistic"] != "below")]
columns = ["value", "low", "high", "oracle", "published", "notebook"]
others = others.set_index([*MODEL, "quantity", "group", "statistic", "at"])[columns]
others.style.format("{:.4g}", na_rep="–").format_index("{:g}", level="at", na_rep="–")

# %% [markdown]
# ## Examples of wrong answers
#
# The next cell prints the five wrong answers of each model with the largest errors,
# with all measured quantities. Malformed answers are only counted.

# %%
for model in models:
    table = pd.DataFrame(model.quantities)
    wrong = table[~is_below(table["error"], failure_figures.TOLERANCE)]
    malformed = wrong["error"].isna().sum()
    print(f"{model.name}: {len(wrong)} wrong, {malformed} malformed")
    worst = wrong.dropna().sort_values("error", ascending=False, kind="stable")
    print(worst.head(5).to_string(float_format="{:.4g}".format), end="\n\n")

# %% [markdown]
# ## Heads on which the answers depend
#
# The model of this section is the first one of the table of accuracies, with the
# network of its first seed. E0H1 is head 1 of layer 0 of the encoder, D0H1 a
# self-attention head of the decoder, and D0X1 one of its cross-attention heads. A head
# or an MLP is **ablated** at all positions: its output is replaced by its mean over
# matrices, by zeros, or by its output for another matrix (resample). The model then
# writes a new answer. The figure shows how many answers that were right (relative error
# below 5 %) become wrong.
#
# - Control: if the output of every head and MLP is replaced by itself, no answer changes.
# - Middle: the output of the encoder is that for another matrix at the tokens of one
#   coefficient, on or off the diagonal, or at the other tokens (dimensions and ends).
# - Bottom: mean cross-attention of each head to each coefficient, while it writes each
#   number of the right answer. The last row shows the network before training. Equal
#   attention to all tokens gives each coefficient the same colour.
#
# Small shares show that the answers do not need a component while all others work: two
# components can replace each other. Large shares show that the output is needed, not
# what it computes. Attention shows the tokens that a head reads from. After the
# encoder, the tokens of one coefficient may contain information on others.

# %%
for path in ablations:
    rows = tables.read(path).query("tokens == 'all'")
    for seed, own in rows.groupby("seed"):
        control = own[own["ablation"] == head_figures.ITSELF].iloc[0]
        print(f"seed {seed}: {control['right']} right answers", end="; ")
        print(f"control: {control['wrong']} become wrong")
        parts = ~own["component"].isin([head_figures.EVERYTHING, head_figures.MEMORY])
        shares = own[parts].groupby("component", sort=False)
        for text, chosen in (
            ("more than 50 %", shares["low"].min() > 0.5),
            ("less than 10 %", shares["high"].max() < 0.1),
        ):
            names = ", ".join(chosen.index[chosen]) or "none"
            print(f"  {text} become wrong under every ablation: {names}")

# %%
stem = Path(figures) / "heads"
figure = draw.empty_figure()
for one, other in zip(ablations, attention, strict=True):
    both = (tables.read(path).query("seed == '1'") for path in (one, other))
    figure = head_figures.heads(*both)
draw.save(figure, stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# The next table shows the mean cross-attention of each head on the diagonal, off the
# diagonal, and to the other tokens, averaged over the numbers of the answer. If the
# values of a trained head differ from those of the same head before training, training
# has moved its attention.

# %%
for path in attention:
    rows = tables.read(path)
    sums = rows[rows["tokens"].isin(["diagonal", "off-diagonal", "other"])]
    keys = ["seed", "component"], ["network", "tokens"]
    display(sums.pivot_table("value", *keys).style.format("{:.1%}"))
