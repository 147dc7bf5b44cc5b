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
# # How does a small transformer add and subtract?
#
# In a subtraction such as `345-678=-0333`, the sign can depend on all digits. The
# digits of a negative answer are computed differently from the digits of a positive
# one. Quirke, Neo and Barez (2024,
# [arXiv 2402.02619](https://arxiv.org/abs/2402.02619)) distinguish three classes of
# questions in models of both operations: sums (**S**), non-negative differences (**M**) and
# negative differences (**N**). Each class has its own sub-tasks. **MD** and **ND**
# subtract the two digits of a column. **MT** determines whether a column borrows,
# **GT** which of its digits is larger. **OPR** and **SGN** read the operation and the
# sign. The authors report that all three classes need many of the same nodes.
#
# This page tests these claims on a model of both operations. The page on addition
# explains the controls and how useful nodes and their sub-tasks are found.

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
# A letter S, M or N means that questions of this class fail if the node is ablated.
# Several classes need a node with several letters.

# %%
page.figure("coverage")

# %%
for model in page.models:
    maps = model.facts, model.published_rule
    rows = comparisons.summary(*maps, model.claims.head(0))
    table = pd.DataFrame(rows, columns=comparisons.COLUMNS).dropna(subset="total")
    table = table.assign(share=table["count"] / table["total"])
    styled = table.style.format({"share": "{:.0%}", "total": "{:.0f}"}, na_rep="–")
    model.show(styled.hide(axis="index"))

# %% [markdown]
# ## How complex are the questions that need a node?
#
# Each cell shows the lowest complexity class that fails if the node is ablated.
# Questions of M0 have no borrow; a negative answer always has one. In M1 and N1 no
# borrow propagates further than the next column. In M2 and N2 a borrow propagates
# through at least one column, and so on.

# %%
for kind in ("complexity_M", "complexity_N"):
    page.figure(kind)

# %% [markdown]
# ## Which sub-task does each node perform?

# %%
page.figure("purpose")

# %% [markdown]
# The table counts these findings, and those of the rules of the published code, which
# test heads and pairs of heads with one or two pairs of questions. Every change of the
# answer counts for ST and MT, and attention alone for OPR and SGN.

# %%
for model in page.models:
    model.show_subtasks()

# %% [markdown]
# Some nodes perform sub-tasks of several classes. The next table counts the nodes that
# perform both of two sub-tasks for the same column (or for no column).


# %%
def shared_nodes(model):
    """Count the nodes that perform both of two sub-tasks."""
    performed = {}
    for node in model.facts.nodes:
        for task, column in comparisons.subtasks(model.facts, node):
            performed.setdefault(task, set()).add((node, column))
    names = sorted(performed)
    return pd.DataFrame(
        [[len(performed[one] & performed[other]) for other in names] for one in names],
        index=names,
        columns=names,
    )


for model in page.models:
    model.show(shared_nodes(model))

# %% [markdown]
# ## Are the three states of a column visible?

# %%
page.figure("panels", lambda model: circuit_figures.pca_scatter(model.panels, model.facts))

# %% [markdown]
# ## Could these sub-tasks be found by chance?

# %%
for model in page.models:
    model.show_chance()

# %% [markdown]
# ## Do the claims hold, and is the circuit sufficient?

# %%
for model in page.models:
    model.show(comparisons.count_clauses(model.claims, "algorithm"))
    model.show_sufficiency()

# %% [markdown]
# ## Which nodes are missing?
#
# The curves begin with the nodes whose sub-task is known, and add the other useful nodes
# one by one. A steep part shows nodes that matter and whose role is unknown. Two single
# points show the nodes with a sub-task of the paper, without those that this project
# adds, and the nodes that do a sub-task in most pairs of questions, a weaker bound.

# %%
page.figure("sufficiency", lambda model: circuit_figures.sufficiency(model.sufficiency))
