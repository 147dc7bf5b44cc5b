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
predictions = [
    "results/demo/linalg/eigenvectors/uniform_wigner/n2/base/in_distribution.npz"
]
ablations = ["results/demo/linalg/eigenvalues/semicircle/n2/base/ablations.csv"]
attention = ["results/demo/linalg/eigenvalues/semicircle/n2/base/attention.csv"]
published = ["paper/published/failures.csv", "paper/published/labels.csv"]
figures = "results/demo/figures/spectral_properties"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG, Markdown, display

from mathprobe import files
from mathprobe.linalg.scores import is_below
from mathprobe.paper import failure_figures, head_figures, tables
from mathprobe.paper import figures as draw
from mathprobe.paper.naming import task_title
from mathprobe.paper.published import read_all

rows = tables.read_concat(failures)
printed = read_all(published)["failures"]
models = [
    failure_figures.measurements(files.load_arrays(path), path.parent.name)
    for path in map(Path, predictions)
]
MODEL = ["task", "n", "recipe", "train"]


GROUPS = {"all": "all", "success": "right", "failure": "wrong"}
rows["answers"] = rows["group"].map(GROUPS)
rows["property"] = rows["quantity"].str.replace("_", " ")
near = rows["tolerance"].isna() | (rows["tolerance"] == 0.05)
is_share = rows["statistic"] == "below"


def each_model(chosen):
    """Yield the rows of each model, after displaying its name."""
    for (task, n, recipe, train), own in chosen.groupby(MODEL, sort=False):
        display(Markdown(f"**{task_title(task, n)}**, {recipe}, trained on {train}"))
        yield own


def compare(chosen, number):
    """Display the rows with published values, beside those values and the oracle."""
    keys = ["property", "answers", "tolerance", "statistic", "at"]
    columns = ["value", "low", "high", "oracle", "published", "notebook"]
    for own in each_model(chosen.dropna(subset=["published", "notebook"], how="all")):
        table = own.set_index(keys)[columns].style.format(number, na_rep="–")
        display(table.format_index("{:g}", level=["tolerance", "at"], na_rep="–"))


for model in models:
    errors = model.quantities["error"], model.oracle["error"]
    right, oracle = (is_below(one, failure_figures.TOLERANCE).mean() for one in errors)
    print(f"{model.name}: {right:.1%} right, oracle {oracle:.1%}")

# %% [markdown]
# ## Right and wrong answers
#
# The table shows, for each property, the share of answers whose deviation from it is
# below a bound: of all answers, of right ones (relative error below 5 %), and of wrong
# ones. Angles are deviations from a right angle in radians, norms are deviations from
# one, errors and distances are relative. A malformed answer does not satisfy any bound.
# If wrong answers retain a property, the rows of right and wrong answers are similar. If
# they do not, the row of wrong answers has lower shares.

# %%
shown = rows[near & is_share & ((rows["group"] == "all") | (rows["quantity"] != "error"))]
for own in each_model(shown.rename(columns={"at": "below"})):
    table = own.pivot_table("value", ["property", "answers"], "below", sort=False)
    table = table.sort_index(axis="columns").style.format("{:.1%}", na_rep="")
    display(table.format_index("{:g}", axis="columns"))

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
if rows[["published", "notebook"]].isna().all(axis=None):
    print("Nothing is published for these models: size or distribution differ.")
compare(rows[is_share], "{:.1%}")
compare(rows[~is_share], "{:.4g}")

# %% [markdown]
# ## Condition numbers and norms
#
# The table shows means, standard deviations and quantiles (2 %, 50 % and 98 %) over right
# (relative error below 5 %), wrong and all answers, and over those of the oracle.
# *infinite*: share of values that are infinite.

# %%
others = rows[near & ~is_share]
oracle = others[others["group"] == "all"]
oracle = oracle.assign(answers="oracle", value=oracle["oracle"])
STATISTICS = "mean", "deviation", "least", "2 %", "50 %", "98 %", "largest", "infinite"
others = pd.concat([others, oracle])
quantiles = others["at"].map("{:.0%}".format).str.replace("%", " %")
others["statistic"] = others["statistic"].where(others["at"].isna(), quantiles)
for own in each_model(others):
    table = own.pivot_table("value", ["property", "answers"], "statistic", sort=False)
    order = [name for name in STATISTICS if name in table]
    display(table[order].sort_index(level=0, sort_remaining=False).style.format("{:.4g}", na_rep="–"))

# %% [markdown]
# ## Examples of wrong answers
#
# The tables show the five wrong answers of each model with the largest errors, with all
# measured quantities. Malformed answers are only counted.

# %%
for model in models:
    table = pd.DataFrame(model.quantities)
    wrong = table[~is_below(table["error"], failure_figures.TOLERANCE)]
    malformed = wrong["error"].isna().sum()
    print(f"{model.name}: {len(wrong)} wrong, {malformed} malformed")
    worst = wrong.dropna().sort_values("error", ascending=False, kind="stable")
    worst = worst.head(5).rename(columns=lambda name: name.replace("_", " "))
    if len(worst):
        display(worst.rename_axis("answer").style.format("{:.4g}"))

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
