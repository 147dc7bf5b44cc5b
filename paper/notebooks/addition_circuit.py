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
# # How does a small transformer add?
#
# A decoder reads `345+678=` and writes `+1023`, one token per digit, most significant
# digit first. The first digit can depend on carries from the last one, so the carries
# must be computed before the first digit is written. According to Quirke, Neo and Barez
# (2024, [arXiv 2402.02619](https://arxiv.org/abs/2402.02619)), all their accurate
# addition models use the same algorithm. **SA** adds the two digits of a column. **ST**
# determines for each column whether it carries, may carry, or does not carry. The model
# combines these states into carries before the answer begins.
#
# This page tests these claims on a trained model of this run. It ablates single nodes,
# patches activations between two questions, and repeats the search on random nodes and on
# an untrained model as controls.

# %% tags=["parameters"]
nodes = ["results/demo/arith/add_d3_l2_h3_t3K_s1/facts/nodes.csv"]
figures = "results/demo/figures/addition_circuit"

# %%
from mathprobe.paper import circuit_figures, circuits
from mathprobe.studies import comparisons

page = circuits.Page.read(nodes, figures, "addition")

# %% [markdown]
# ## Which positions are needed?
#
# The figure shows the share of questions that fail if the residual stream at a position
# is replaced by its mean over questions. Positions at which no question fails are not
# analyzed further. Look for how few positions are needed before the answer begins: most
# of the computation happens at the last digits of the question and in the answer.

# %%
page.figure("positions", lambda model: circuit_figures.positions(model.positions))

# %% [markdown]
# ## Which answer digits depend on which node?
#
# A node is an attention head or an MLP at a position. Each cell lists the answer digits that
# become wrong if the node is ablated. After the `=`, each position writes one digit, and its
# nodes affect that digit. Before it, a node may affect several digits.

# %%
page.figure("impact")

# %% [markdown]
# ## What do the heads attend to?
#
# Each cell lists the tokens that receive more than a tenth of a head's attention,
# averaged over questions. D is the first number and D' the second. A head that adds a
# column attends to both of its digits.

# %%
page.figure("attention")

# %% [markdown]
# ## Which sub-task does each node perform?
#
# For each sub-task we draw pairs of questions that differ in its result, for instance
# in whether column 1 carries. The node's activation on one question is patched into the
# other. If the answer changes exactly as predicted from the sub-task, in more than three
# quarters of the pairs, the node performs this sub-task. A blank cell is a useful node without a
# known sub-task.

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
# ## Could these sub-tasks be found by chance?
#
# The table shows for how many of the candidates (nodes and pairs of heads) the search
# finds a sub-task, with the 95 % interval of the share, and two controls: as many tests
# of random nodes and pairs that are no candidates, and tests of the candidates in the
# model before training.

# %%
for model in page.models:
    model.show_chance()

# %% [markdown]
# ## Are the three states of a column visible?
#
# The figure shows the first two principal components of the output of a head, for
# questions in which a column carries, propagates a carry, or stops it. ST distinguishes
# these three states. Only heads whose components separate the states are shown. The
# title of each panel lists the explained variance, the silhouette, the
# Calinski-Harabasz index, and the agreement between clusters and states.

# %%
page.figure("panels", lambda model: circuit_figures.pca_scatter(model.panels, model.facts))

# %% [markdown]
# ## Do the claims hold?
#
# The published algorithm is a list of clauses about where each sub-task is performed.
# Optional clauses hold only for some of the published models. They are counted only if
# they hold.

# %%
for model in page.models:
    clauses = model.claims.style.hide(axis="index").format(na_rep="")
    model.show(comparisons.count_clauses(model.claims, "algorithm"), clauses)

# %% [markdown]
# ## Is the circuit sufficient?
#
# If the circuit explains the model, its nodes alone should answer questions correctly.
# All other nodes are ablated: their output is replaced by its mean, or by their output
# for another question. The table shows the share of answers that stay right with the
# useful nodes, with the nodes whose sub-task is known, and with as many random nodes as
# useful ones.

# %%
for model in page.models:
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
