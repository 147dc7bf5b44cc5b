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
# # Can failures be predicted without knowing the solution?
#
# A model has predicted eigenvectors or inverses of your matrices. Some predictions are
# wrong, and you do not have the solution to compare with. Charton (2022,
# [arXiv 2211.00170](https://arxiv.org/abs/2211.00170), section 3) proposes two verifiers:
# **accept predicted eigenvectors if their condition number is below 1.045** (orthogonal
# vectors have condition number one), and **accept a predicted inverse if the condition
# number of the matrix is below 62**.
#
# This page applies the verifiers to the predictions of this run and shows how to call
# them on your own predictions. It then measures how often they are correct: at the
# published threshold, at a threshold calibrated for the model, and at all thresholds.

# %% tags=["parameters"]
verifiers = ["results/demo/tables/verifiers_inverse_n2.csv"]
roc = ["results/demo/tables/roc_inverse_n2.csv"]
predictions = [
    "results/demo/linalg/inverse/uniform_coefficients/n2/base/in_distribution.npz"
]
figures = "results/demo/figures/verifiers"

# %%
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from IPython.display import SVG, Markdown, display

from mathprobe import files
from mathprobe.linalg.scores import is_below, relative_error
from mathprobe.linalg.verifiers import VERIFIERS, calibrate
from mathprobe.paper import failure_figures, tables
from mathprobe.paper import figures as draw

models = [
    failure_figures.measurements(files.load_arrays(path), path.parent.name)
    for path in map(Path, predictions)
]
rules = tables.read_concat(verifiers)
curves = tables.read_concat(roc)
pd.Series({name: verifier.threshold for name, verifier in VERIFIERS.items()}, name="threshold")

# %% [markdown]
# ## Apply a verifier to predictions
#
# A verifier needs only a matrix and a prediction. The next cell loads the first test
# matrices of each model, rounded by the input encoding, and its predictions. For your own
# matrices `[B, n, n]` and predictions `[B, r, c]`, call `verifier.predict(matrix,
# prediction)`.

# %%
examples = []
for model, path in zip(models, predictions, strict=True):
    arrays = files.load_arrays(path)
    names = ("matrix", "answer", "prediction")
    examples.append((model, *(torch.from_numpy(arrays[f"shown.{name}"]) for name in names)))

for model, matrix, _, prediction in examples:
    verifier = VERIFIERS[model.verifier]
    accepted = verifier.predict(matrix, prediction)
    count = f"{int(accepted.sum())} of {len(accepted)} predictions are accepted"
    print(f"{model.name}: {count}")

# %% [markdown]
# Compare with the solutions:

# %%
for model, matrix, answer, prediction in examples:
    correct = is_below(relative_error(model.task, matrix, answer, prediction), 0.05)
    accepted = VERIFIERS[model.verifier].predict(matrix, prediction)
    confusion = pd.crosstab(
        pd.Categorical.from_codes(correct.int(), ["wrong", "right"]),
        pd.Categorical.from_codes(accepted.int(), ["rejected", "accepted"]),
        rownames=["prediction"],
        colnames=["verifier"],
        dropna=False,
    )
    display(Markdown(f"**{model.name}**"), confusion)

# %% [markdown]
# ## Calibrate a threshold for your model
#
# The published thresholds were chosen for the published models. If you have examples
# with solutions, calibrate the threshold on some of them and evaluate it on the others.
# The calibrated threshold is the one that is correct most often.

# %%
for model, matrix, answer, prediction in examples:
    correct = is_below(relative_error(model.task, matrix, answer, prediction), 0.05)
    published = VERIFIERS[model.verifier]
    quantity = published.quantity(matrix, prediction)
    calibrated = replace(published, threshold=calibrate(quantity[::2], correct[::2]))
    print(model.name)
    for name, verifier in {"published": published, "calibrated": calibrated}.items():
        is_correct = verifier.predict(matrix, prediction)[1::2] == correct[1::2]
        share = is_correct.double().mean()
        print(f"  {name}: accept below {verifier.threshold:.4g}, correct in {share:.1%}")

# %% [markdown]
# ## How good are the verifiers?
#
# The table covers all models of this run. *right*: share of examples in which the
# verifier is correct. *successes_below*: share of right predictions that are accepted.
# *failures_above*: share of wrong predictions that are rejected. *paper*: the published
# threshold, evaluated on all examples. *calibration*: the calibrated threshold,
# evaluated on the examples that were not used to calibrate it. *oracle*: the same
# verifier on the answers of the oracle. If it is correct equally often there, it
# predicts failures due to rounding.

# %%
sizes = rules["n"].astype(str)
rules["model"] = rules["task"] + ", n=" + sizes + ", " + rules["recipe"]
rates = rules[rules["chosen_by"].notna()]
rates = rates.set_index(["model", "chosen_by", "threshold", "statistic"])
columns = ["value", "low", "high", "spread", "oracle", "published"]
table = rates[columns].style.format("{:.1%}", na_rep="–")
table.format_index("{:.4g}", level="threshold")

# %% [markdown]
# Each dot below is a test example. For a good verifier, a threshold separates the dots above
# the dotted line (wrong answers) from those below it (right answers).

# %%
stem = Path(figures) / "condition_error"
draw.save(failure_figures.condition_numbers(models, rules), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# ## All thresholds at once
#
# The higher the threshold, the more right and the more wrong predictions are accepted.
# The area under the ROC curve is the probability that a right prediction has a lower
# condition number than a wrong one. An area of 0.5 means that the verifier is no better
# than guessing.

# %%
stem = Path(figures) / "roc"
draw.save(failure_figures.roc(models, curves, rules), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %%
areas = rules[rules["statistic"] == "auc"].set_index(["model", "verifier"])
areas[["value", "low", "high", "oracle"]].style.format("{:.3f}", na_rep="–")
