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
# # What does a model still know when it is wrong?
#
# A transformer reads a matrix as tokens and writes an answer as tokens: the eigenvalues
# and eigenvectors of a symmetric matrix, or the inverse of a matrix. The solutions have
# properties that no training example states. Eigenvectors of a symmetric matrix have
# norm one and are orthogonal; the product of a matrix and its inverse is the identity.
#
# Charton (2022, [arXiv 2211.00170](https://arxiv.org/abs/2211.00170), section 2)
# reports that wrong answers keep some of these properties: their eigenvalues are right
# and their vectors have norm one, but are not orthogonal. This page looks at the wrong
# answers of the models of this run, each on matrices like those of its training, and
# sets beside them what **exact answers** keep that have passed through the same tokens.

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


def wide(chosen, *index):
    """Show shares below bounds, a column per bound."""
    table = chosen.pivot_table("value", [*MODEL, "quantity", *index], "at", sort=False)
    table = table.sort_index(axis="columns").style.format("{:.1%}", na_rep="–")
    return table.format_index("{:g}", axis="columns")


def beside(chosen):
    """Show statistics one by one, beside exact answers and what is printed."""
    columns = ["value", "low", "high", "oracle", "published", "notebook"]
    table = chosen.set_index([*MODEL, "group", "quantity", "at"])[columns]
    return table.style.format("{:.1%}", na_rep="–").format_index("{:g}", level="at")


for model in models:
    right = (model.quantities["error"] < failure_figures.TOLERANCE).mean()
    exact = (model.oracle["error"] < failure_figures.TOLERANCE).mean()
    print(f"{model.name}: {right:.1%} right, exact {exact:.1%}")

# %% [markdown]
# ## All answers
#
# For each property: the share of answers that have it more closely than a bound. Angles
# are deviations from a right angle in radians, norms are deviations from one, errors
# and distances are relative. A malformed answer has no property at all.

# %%
shares = rows[rows["statistic"] == "below"]
wide(shares[shares["group"] == "all"])

# %% [markdown]
# ## Right and wrong answers
#
# The same shares for right answers (relative error below 5 %) and for wrong ones. What
# failures keep shows as equal rows; what they lose shows as a gap.

# %%
parted = shares[(shares["tolerance"] == 0.05) & (shares["quantity"] != "error")]
wide(parted, "group")

# %% [markdown]
# The figure shows all bounds at once. Where the line of wrong answers follows that of
# right ones, failure has nothing to do with the property. Where it stays far below at
# the dotted line, losing the property is what failure is made of. Exact answers are the
# limit that rounding sets: a model cannot be expected to keep a property more closely.

# %%
stem = Path(figures) / "failure_properties"
draw.save(failure_figures.properties(models, printed), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# ## Beside the printed numbers
#
# Every statistic of which the paper or the stored output of its notebook prints a
# number for the same task, size, recipe and training distribution. Intervals are those of the
# choice of test examples; *oracle*: exact answers. The notebook compares the cosine of angles between rows with
# what the text calls an angle between rows and columns, in radians.

# %%
known = shares.dropna(subset=["published", "notebook"], how="all")
if known.empty:
    print("Of these models nothing is printed: they have another size or distribution.")
beside(known)

# %% [markdown]
# ## Condition numbers and norms
#
# Their means, deviations and quantiles among right (relative error below 5 %), wrong and
# all answers, beside exact answers and what is printed.

# %%
near = rows["tolerance"].isna() | (rows["tolerance"] == 0.05)
others = rows[near & (rows["statistic"] != "below")]
columns = ["value", "low", "high", "oracle", "published", "notebook"]
others = others.set_index([*MODEL, "quantity", "group", "statistic", "at"])[columns]
others.style.format("{:.4g}", na_rep="–").format_index("{:g}", level="at", na_rep="–")

# %% [markdown]
# ## The wrong answers, one by one
#
# The wrong answers of each model that are farthest off, with all that was measured of
# them; malformed ones are only counted.

# %%
for model in models:
    table = pd.DataFrame(model.quantities)
    wrong = table[~(table["error"] < failure_figures.TOLERANCE)]
    malformed = wrong["error"].isna().sum()
    print(f"{model.name}: {len(wrong)} wrong, {malformed} malformed")
    worst = wrong.dropna().sort_values("error", ascending=False, kind="stable")
    print(worst.head(5).to_string(float_format="{:.4g}".format), end="\n\n")
