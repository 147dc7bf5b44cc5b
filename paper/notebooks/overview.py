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
# # Overview: findings, settings and checks
#
# This page lists the findings of both studies in one table. It also shows the settings
# of this run beside the published ones, checks that need no trained model,
# discrepancies between the papers and their code, and where and for how long the models
# were trained.

# %% tags=["parameters"]
facts = "results/demo/tables/facts.json"
findings = "results/demo/tables/findings.csv"
conditions = "results/demo/tables/condition_numbers.csv"
oracle = "results/demo/tables/oracle_accuracy.csv"
errata = ["paper/published/errata.yaml", "paper/published/arith_errata.yaml"]
evidence = ["results/demo/tables/evidence.csv", "results/demo/tables/arith_evidence.csv"]
runs = "results/demo/tables/runs.csv"
figures = "results/demo/figures/overview"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display

from mathprobe import files, strict_yaml
from mathprobe.paper import tables

facts = files.read_json(facts)
setting = "the published setting" if facts["full"] else "smaller than the published setting"
print(f"scale {facts['scale']}: {setting}")

# %% [markdown]
# ## Findings
#
# The table has claims of both papers and a question of ours (Table 1 of the paper), with the
# published results, those of recorded models, which are named by their scale, and those of
# this run. *Reproduced*: whether the claim holds with its 95 % interval in most tests and
# fails in none (yes), the reverse (no), both occur (partly), or the intervals allow both
# (undecided).

# %%
found = tables.read(findings)
sizes = found["size"].str.replace(" ", "\N{NO-BREAK SPACE}")
models = found["scale"].where(found["recorded"], "this run") + ", " + sizes
shown = pd.DataFrame(
    {
        "claim": found["statement"],
        "published": found["published"],
        "models": models.where(found["ours"].notna()),
        "measured": found["ours"],
        "reproduced": found["verdict"],
    }
)
files.write_text(Path(figures) / "overview.csv", shown.to_csv(index=False, na_rep="–"))
left = {"selector": "th, td", "props": "text-align: left; white-space: normal"}
shown.style.hide(axis="index").format(na_rep="–").set_table_styles([left])

# %% [markdown]
# ## Settings
#
# The table shows the settings of the models of the first accuracy matrix, beside the
# published ones. Bold: settings that differ.


# %%
def settings(study):
    """Return the settings of the models of the first accuracy matrix, by name."""
    entry = study["tables"]["out_of_distribution"][0]
    recipe = study["recipes"][entry["recipe"]]
    schedule = recipe["schedule"]
    stack = "{layers} layers, width {width}, {heads} heads".format_map
    tokens = "{encoding}, {digits} digits".format_map
    return {
        "task": entry["task"],
        "n": str(entry["n"]),
        "seeds": str(recipe["seeds"]),
        "training examples": f"{schedule['examples']:,}",
        "batch": f"{schedule['batch']:,}",
        "learning rate": f"{schedule['learning_rate']:g} to {schedule['final_learning_rate']:g}",
        "warm-up updates": f"{schedule['warmup_updates']:,}",
        **{name: stack(recipe[name]) for name in ("encoder", "decoder")},
        **{name: tokens(recipe[name]) for name in ("input", "output")},
        "test examples per distribution": f"{study['tests']['examples']:,}",
    }


def bold(row):
    """Return CSS: bold if the setting is not the published one."""
    return ["font-weight: bold" if row["here"] != row["published"] else ""] * len(row)


both = {"here": settings(facts["study"]), "published": settings(facts["reference"])}
pd.DataFrame(both).style.apply(bold, axis="columns")

# %% [markdown]
# ## Condition numbers
#
# The table shows quantiles of the condition numbers of random matrices of each
# distribution, at the published size (0.5 is the median), with 95 % intervals, beside
# Table 4 of Charton (2022). No network is involved. *rejected*: number of matrices that
# were redrawn because their numerical inverse failed.

# %%
values = ["published", "here"]
quantiles = tables.read(conditions)
ends = zip(quantiles["value"], quantiles["low"], quantiles["high"])
quantiles["here"] = ["{:,.1f} ({:,.1f}–{:,.1f})".format(*row) for row in ends]
quantiles = quantiles.set_index(["distribution", "n", "matrices", "rejected", "quantile"])[values]
quantiles = quantiles.unstack(sort=False)
quantiles = quantiles.swaplevel(axis="columns").sort_index(axis="columns", level=0, sort_remaining=False)
quantiles.style.format({(q, "published"): "{:,.1f}" for q, _ in quantiles}, na_rep="–").format_index("{:g}", level=0, axis="columns")

# %% [markdown]
# ## Oracle accuracy
#
# The *oracle* is an exact solver that reads and writes the same tokens: it solves the
# problem for the rounded matrix, and its solution is rounded by the output encoding.
# The *labels* are the training targets. The table shows the accuracy of both on the
# published tasks at full size in percent, with 95 % intervals. A model can exceed the oracle
# accuracy only by lucky rounding.

# %%
limits = tables.read(oracle)
limits["encodings"] = limits["input"] + " to " + limits["output"]
for name, prefix in {"oracle": "", "label": "label_"}.items():
    ends = 100 * limits[[name, f"{prefix}low", f"{prefix}high"]]
    limits[name] = ["{:.1f} ({:.1f}–{:.1f})".format(*row) for row in ends.to_numpy()]
limits = limits.set_index(["task", "n", "encodings", "test", "tolerance"])
shown = limits[["oracle", "label"]].rename_axis("answers of", axis="columns")
shown = shown.stack().unstack("tolerance", sort=False)
shown.style.format("{}", na_rep="–").format_index("{:g}", axis="columns")

# %% [markdown]
# ## Discrepancies between papers, code and notebooks
#
# For each study, the first table lists contradictions and our choices. The second one
# compares published values with values computed by arithmetic or from random samples
# (with 95 % intervals), for the points that can be examined in this way. The last one
# lists points that the text leaves open.

# %%
computed = pd.concat([tables.read(path) for path in evidence], ignore_index=True)
prose = {"white-space": "normal", "text-align": "left", "vertical-align": "top"}
for path in errata:
    for part, points in strict_yaml.read(path).items():
        rows = pd.DataFrame(points.values())
        columns = ["title", "location", "text", "code", "effect", "here", "setting"]
        shown = rows.reindex(columns=columns).dropna(axis="columns", how="all")
        styled = shown.style.hide(axis="index").format(na_rep="–").set_properties(**prose)
        display(Markdown(f"**{part.replace('_', ' ')}**"), styled)
        if "evidence" in rows:
            pairs = rows[["title", "evidence"]].explode("evidence")
            found = pairs.merge(computed).drop(columns="evidence")
            numbers = dict.fromkeys(["printed", "value", "low", "high"], "{:.4g}")
            display(found.style.hide(axis="index").format(numbers, na_rep="–"))

# %% [markdown]
# ## Training runs
#
# Training time includes every attempt whose state was saved, but no time in a queue. The
# report shows the time of each rule under *Statistics*. Values that all runs share are
# listed above the table.

# %%
trained = tables.read(runs)
hours = trained["seconds"].sum() / 3600
examples = (trained["seeds"] * trained["examples"]).sum()
print(f"{len(trained)} models, {hours:.2f} hours, {examples:,.0f} examples")
trained["revision"] = trained["revision"].str[:8]
trained["finished"] = trained["finished"].str[:10]
trained = trained.drop(columns=["train", "n", "recipe"]).dropna(axis="columns", how="all")
common = [name for name in trained if name != "model" and trained[name].nunique() == 1]
for name in common:
    print(f"  {name.replace('_', ' ')}: {trained[name].iloc[0]}")
trained = trained.drop(columns=common)
counts = dict.fromkeys({"seconds", "examples_per_second", "joules"} & set(trained), "{:,.0f}")
counts |= dict.fromkeys({"examples", "parameters"} & set(trained), "{:,.0f}")
trained.style.format(counts, na_rep="–").hide(axis="index")
