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
nodes = ["results/demo/arith/ins1_mix_d3_l3_h4_t6K_s1/facts/nodes.csv"]
figures = "results/demo/figures/subtraction_circuit"

# %%
import pandas as pd

from mathprobe.paper import circuit_figures, circuits
from mathprobe.studies import comparisons

page = circuits.Page.read(nodes, figures, "mixed")

# %% [markdown]
# ## Which questions need which node?
#
# S, M and N where questions of that kind fail without the node. A node with several
# letters serves several calculations.

# %%
page.figure("coverage")

# %%
for model in page.models:
    rows = comparisons.summary(model.facts, model.claims.head(0))
    table = pd.DataFrame(rows).dropna(subset="total")
    table = table.assign(share=table["count"] / table["total"])
    styled = table.style.format({"share": "{:.0%}", "total": "{:.0f}"}, na_rep="–")
    model.show(styled.hide(axis="index"))

# %% [markdown]
# ## How hard must a question be to need it?
#
# The simplest class that fails without the node: M0 and N0 have no borrow, M1 and N1
# one, in M2 and N2 a borrow is handed on, and so on.

# %%
for kind in ("complexity_M", "complexity_N"):
    page.figure(kind)

# %% [markdown]
# ## What does each node do?

# %%
page.figure("purpose")

# %% [markdown]
# Nodes that do the same thing for two operations at once: how many do both of two
# sub-tasks, of the same column or of none.


# %%
def shared(model):
    """Count the nodes that do both of two sub-tasks."""
    done = {}
    for node in model.facts.nodes:
        for task, column in comparisons.subtasks(model.facts, node):
            done.setdefault(task, set()).add((node, column))
    names = sorted(done)
    return pd.DataFrame(
        [[len(done[one] & done[other]) for other in names] for one in names],
        index=names,
        columns=names,
    )


for model in page.models:
    model.show(shared(model))

# %% [markdown]
# ## Three states of a column, to be seen?

# %%
page.figure("panels", lambda model: circuit_figures.pca_scatter(model.panels, model.facts))

# %% [markdown]
# ## Could chance have found these?

# %%
for model in page.models:
    model.show_chance()

# %% [markdown]
# ## Do the claims hold, and is this the whole circuit?

# %%
for model in page.models:
    model.show(comparisons.count_clauses(model.claims, "algorithm"))
    model.show_sufficiency()
