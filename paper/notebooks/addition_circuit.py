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
# A decoder reads `345+678=` and writes `+1023`, a token a digit, the highest first. The
# highest digit depends on carries that come from the lowest, so something has to work
# them out before the first digit is written. Quirke, Neo and Barez (2024, [arXiv
# 2402.02619](https://arxiv.org/abs/2402.02619)) say that all their accurate addition
# models do it in one way: **SA** adds the two digits of a column, **ST** tells of each
# column whether it carries, may carry, or does not, and from these the carries are put
# together before the answer begins.
#
# This page takes a trained model of this run apart and holds these claims against it: by
# replacing what single nodes say, by exchanging what they say between two questions,
# and by asking the same of random nodes and of a model that was never trained.

# %% tags=["parameters"]
nodes = ["results/demo/arith/add_d3_l2_h3_t3K_s1/facts/nodes.csv"]
figures = "results/demo/figures/addition_circuit"

# %%
from mathprobe.paper import circuit_figures, circuits
from mathprobe.studies import comparisons

page = circuits.Page.read(nodes, figures, "addition")

# %% [markdown]
# ## Where does it happen?
#
# The share of questions that fail when what the whole model says at a position is
# replaced by what it says there on average. Positions without which nothing fails are
# not looked at further. Before the answer begins, few positions are needed: most of the
# work is done late, at the last digits of the question and at the answer itself.

# %%
page.figure("positions", lambda model: circuit_figures.positions(model.positions))

# %% [markdown]
# ## Which nodes matter, and to which digit?
#
# A node is a head or an MLP at a position. A cell names the answer digits that become
# wrong without it. After the `=`, each position writes one digit, and its nodes matter
# to that one; before it, a node may matter to several.

# %%
page.figure("impact")

# %% [markdown]
# ## Where do its heads look?
#
# Tokens that have more than a tenth of a head's attention, averaged over questions. D is
# the first number, D' the second. A head that adds a column looks at both its digits.

# %%
page.figure("attention")

# %% [markdown]
# ## What does each node do?
#
# Two questions differ in one sub-task only, for instance in whether column 1 carries.
# What the node says in one is put into the other. If now the answer is wrong in just the
# way that the exchange of the sub-task predicts, in nearly all of many such pairs, the
# node is said to do this sub-task. A blank cell is a node that matters, and of which no
# sub-task is known.

# %%
page.figure("purpose")

# %% [markdown]
# ## Could chance have found these?
#
# The share of the nodes that were tried in which a sub-task was found; the same for as
# many nodes taken at random, and for the same nodes of a model before its training.

# %%
for model in page.models:
    model.show_chance()

# %% [markdown]
# ## Three states of a column, to be seen?
#
# What heads write, along its first two components, for questions whose column carries,
# hands a carry on, or stops one: the states that ST tells apart. Shown are heads that
# keep them apart. Above each panel: variance explained, silhouette, Calinski-Harabasz
# index, agreement of clusters with states.

# %%
page.figure("panels", lambda model: circuit_figures.pca_scatter(model.panels, model.facts))

# %% [markdown]
# ## Do the claims hold?
#
# The published algorithm as a list of clauses, each about where a sub-task is done.
# Optional clauses are those that the paper grants to some models only; they count where
# they hold.

# %%
for model in page.models:
    clauses = model.claims.fillna("").style.hide(axis="index")
    model.show(comparisons.count_clauses(model.claims, "algorithm"), clauses)

# %% [markdown]
# ## Is this the whole circuit?
#
# A map that explains a model should be enough to run it. All nodes but some are replaced,
# by what they say on average or on another question, and the questions that stay right
# are counted: with the nodes that matter, with those whose purpose is known, and with as
# many at random.

# %%
for model in page.models:
    model.show_sufficiency()
