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
published = ["paper/published/failures.csv", "paper/published/labels.csv"]
figures = "results/demo/figures/spectral_properties"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG

from mathprobe import files
from mathprobe.linalg.scores import is_below
from mathprobe.paper import failure_figures, tables
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
