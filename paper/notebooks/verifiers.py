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
# # Can you tell, without the answer, which predictions to believe?
#
# A model has predicted eigenvectors or inverses of your matrices. Some predictions are
# wrong, and you do not have the solution to compare with. Charton (2022,
# [arXiv 2211.00170](https://arxiv.org/abs/2211.00170), section 3) proposes rules of one
# number: **believe predicted eigenvectors when their condition number is below 1.045**,
# as that of orthogonal vectors is one, and **believe a predicted inverse when the
# condition number of the matrix is below 62**.
#
# This page applies the rules to the predictions of this run, shows how to call them on
# predictions of your own, and asks how good they are: at the paper's threshold, at one
# chosen for the model, and at all thresholds.

# %% tags=["parameters"]
verifiers = ["results/demo/tables/verifiers_inverse_n2.csv"]
roc = ["results/demo/tables/roc_inverse_n2.csv"]
predictions = ["results/demo/linalg/inverse/uniform_coefficients/n2/base/home.npz"]
figures = "results/demo/figures/verifiers"

# %%
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from IPython.display import SVG, Markdown, display

from mathprobe import files
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.verifiers import VERIFIERS, calibrate
from mathprobe.paper import failure_figures, tables
from mathprobe.paper import figures as draw

models = [
    failure_figures.measurements(files.load_arrays(path), path.parent.name)
    for path in map(Path, predictions)
]
rules = tables.read_concat(verifiers)
curves = tables.read_concat(roc)
pd.Series({name: rule.threshold for name, rule in VERIFIERS.items()}, name="threshold")

# %% [markdown]
# ## Apply a rule to predictions
#
# A verifier looks at a matrix and a prediction, nothing else. Here are the first test
# matrices of each model, as its tokens show them, and what it predicted. For matrices
# `[B, n, n]` and predictions `[B, r, c]` of your own, `rule.predict` is all you need.

# %%
asked = []
for model, path in zip(models, predictions, strict=True):
    shown = files.load_arrays(path)
    names = ("matrix", "answer", "prediction")
    asked.append((model, *(torch.from_numpy(shown[f"shown.{name}"]) for name in names)))

for model, matrix, _, prediction in asked:
    rule = VERIFIERS[model.verifier]
    believed = rule.predict(matrix, prediction)
    count = f"{int(believed.sum())} of {len(believed)} predictions are believed"
    print(f"{model.name}: {count}")

# %% [markdown]
# Only now look at the solutions.

# %%
for model, matrix, answer, prediction in asked:
    correct = relative_error(model.task, matrix, answer, prediction) < 0.05
    believed = VERIFIERS[model.verifier].predict(matrix, prediction)
    verdicts = pd.crosstab(
        pd.Categorical.from_codes(correct.int(), ["wrong", "right"]),
        pd.Categorical.from_codes(believed.int(), ["doubted", "believed"]),
        rownames=["the prediction is"],
        colnames=["and is"],
        dropna=False,
    )
    display(Markdown(f"**{model.name}**"), verdicts)

# %% [markdown]
# ## Choose a threshold for your model
#
# The printed thresholds belong to the models that they were read from. With some
# solved examples at hand, choose one that gives most right verdicts on them, and judge
# it on others.

# %%
for model, matrix, answer, prediction in asked:
    correct = relative_error(model.task, matrix, answer, prediction) < 0.05
    rule = VERIFIERS[model.verifier]
    quantity = rule.quantity(matrix, prediction)
    own = replace(rule, threshold=calibrate(quantity[::2], correct[::2]))
    print(model.name)
    for name, each in {"paper": rule, "chosen": own}.items():
        verdicts = each.predict(matrix, prediction)[1::2] == correct[1::2]
        share = verdicts.double().mean()
        print(f"  {name}: below {each.threshold:.4g}, {share:.1%} of verdicts are right")

# %% [markdown]
# ## How good are the rules?
#
# All models of this run. *Right*: verdicts that are right. *Successes below*: right
# predictions that are believed. *Failures above*: wrong predictions that are doubted.
# The paper's threshold is judged on all examples, the chosen one on those that did not
# choose it. *Oracle*: the same rule on exact answers that have passed through the same
# tokens. Where it does as well there, it predicts the failures of the encoding.

# %%
sizes = rules["n"].astype(str)
rules["model"] = rules["task"] + ", n=" + sizes + ", " + rules["recipe"]
shown = rules[rules["chosen_by"].notna()]
shown = shown.set_index(["model", "chosen_by", "threshold", "statistic"])
columns = ["value", "low", "high", "spread", "oracle", "published"]
table = shown[columns].style.format("{:.1%}", na_rep="–")
table.format_index("{:.4g}", level="threshold")

# %% [markdown]
# Each dot below is a test example. A good rule has a threshold that parts the dots
# above the dotted line, wrong ones, from those below it.

# %%
stem = Path(figures) / "condition_error"
draw.save(failure_figures.condition_numbers(models, rules), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %% [markdown]
# ## All thresholds at once
#
# As the threshold rises, more right predictions are believed, and more wrong ones. The
# area under the curve is the chance that a right prediction has a lower condition
# number than a wrong one; one half is guessing.

# %%
stem = Path(figures) / "roc"
draw.save(failure_figures.roc(models, curves, rules), stem)
SVG(filename=str(stem.with_suffix(".svg")))

# %%
areas = rules[rules["statistic"] == "auc"].set_index(["model", "verifier"])
areas[["value", "low", "high", "oracle"]].style.format("{:.3f}", na_rep="–")
