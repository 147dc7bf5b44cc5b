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
# # How does it subtract, and how does one model do both?
#
# `345-678=-0333`: of a subtraction even the sign is unknown until all digits are
# compared, and a negative answer is another sum of columns than a positive one. Quirke,
# Neo and Barez (2024, [arXiv 2402.02619](https://arxiv.org/abs/2402.02619)) find three
# kinds of questions in models that add and subtract: sums (**S**), differences that are
# not negative (**M**) and negative ones (**N**), each with sub-tasks of its own. **MD**
# and **ND** take two digits of a column from each other, **MT** tells of a column whether
# it borrows, **GT** which of its digits is larger, **OPR** and **SGN** read the operation
# and the sign. Many nodes, they report, serve all three.
#
# This page takes a model of this run apart that does both operations, and holds these
# claims against it. How nodes are found, and how sub-tasks are told from chance, is on
# the page about addition.

# %% tags=["parameters"]
nodes = "results/demo/arith/ins1_mix_d3_l3_h4_t6K_s1/facts/nodes.csv"
figures = "results/demo/figures"

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG, Markdown, display

from mathprobe.paper import circuit_figures, circuits
from mathprobe.paper import figures as draw
from mathprobe.studies import comparisons

models = [circuits.read(Path(path)) for path in nodes.split()]
for model in models:
    heads = sum(node.kind == "head" for node in model.facts.nodes)
    others = len(model.facts.nodes) - heads
    print(f"{model.name}: {model.digits} digits, {heads} heads and {others} MLPs matter")


def shown(figure, name):
    """Draw a figure for the paper and show it here."""
    stem = Path(figures) / f"mixed_{name}"
    draw.save(figure, stem)
    return SVG(filename=f"{stem}.svg")


if not models:
    for name in ("coverage", "complexity_M", "complexity_N", "purpose", "panels"):
        shown(draw.nothing(), name)

# %% [markdown]
# ## Which questions need which node?
#
# S, M and N where questions of that kind fail without the node. A node with several
# letters serves several calculations.

# %%
for model in models:
    display(Markdown(f"**{model.name}**"), shown(model.map("coverage"), "coverage"))

# %%
for model in models:
    rows = list(comparisons.summary(model.name, model.facts, []))
    table = pd.DataFrame(rows).dropna(subset="total").drop(columns="model")
    table = table.assign(share=table["count"] / table["total"])
    styled = table.style.format({"share": "{:.0%}", "total": "{:.0f}"}, na_rep="–")
    display(Markdown(f"**{model.name}**"), styled.hide(axis="index"))

# %% [markdown]
# ## How hard must a question be to need it?
#
# The simplest class that fails without the node: M0 and N0 have no borrow, M1 and N1
# one, in M2 and N2 a borrow is handed on, and so on.

# %%
for model in models:
    for kind in ("complexity_M", "complexity_N"):
        display(Markdown(f"**{model.name}**"), shown(model.map(kind), kind))

# %% [markdown]
# ## What does each node do?

# %%
for model in models:
    display(Markdown(f"**{model.name}**"), shown(model.map("purpose"), "purpose"))

# %% [markdown]
# Nodes that do the same thing for two operations at once: how many do both of two
# sub-tasks, of the same column or of none.


# %%
def shared(model):
    """Count the nodes that do both of two sub-tasks."""
    done = {}
    for node in model.facts.nodes:
        for task, column in comparisons.tasks(model.facts, node):
            done.setdefault(task, set()).add((node, column))
    names = sorted(done)
    return pd.DataFrame(
        [[len(done[one] & done[other]) for other in names] for one in names],
        index=names,
        columns=names,
    )


for model in models:
    display(Markdown(f"**{model.name}**"), shared(model))

# %% [markdown]
# ## Three states of a column, to be seen?

# %%
for model in models:
    panels = circuit_figures.panels(model.panels, model.facts)
    display(Markdown(f"**{model.name}**"), shown(panels, "panels"))

# %% [markdown]
# ## Could chance have found these?

# %%
for model in models:
    table = circuits.chance(model.controls)
    shares = list(circuits.CHANCE.values())
    styled = table.style.format("{:.0%}", subset=shares, na_rep="–")
    display(Markdown(f"**{model.name}**"), styled.format("{:.0f}", subset=["found"]))

# %% [markdown]
# ## Do the claims hold, and is this the whole circuit?

# %%
for model in models:
    display(Markdown(f"**{model.name}**"), circuits.held(model.claims))
    table = circuits.sufficiency(model.controls)
    shares = [column for column in table if column != "nodes"]
    display(table.style.format("{:.1%}", subset=shares))
