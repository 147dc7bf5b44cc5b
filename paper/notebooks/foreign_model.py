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
# # Can a model that was trained elsewhere be analyzed?
#
# This page trains a small decoder without this package. Its weights have the names of
# [TransformerLens](https://github.com/TransformerLensOrg/TransformerLens), and it differs
# from the decoders of the paper: GELU instead of ReLU, narrow MLPs, and fewer tokens. The
# page then converts the model, patches its activations, and searches for its circuit.
# Replace the first part by your own weights and configuration.

# %% tags=["parameters"]
updates = 700
figures = "results/demo/figures/foreign_model"

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
from IPython.display import SVG, display
from torch.nn import functional

from mathprobe import files
from mathprobe.arith.questions import encode_questions, single_operation
from mathprobe.arith.tokens import Layout
from mathprobe.interp.attention import mean_attention
from mathprobe.interp.measures import effects, estimate, logit_difference, patch_nodes
from mathprobe.interp.patching import Run
from mathprobe.interp.residual import logit_attribution
from mathprobe.nets.lens import from_state_dict
from mathprobe.paper import arith_pivots, circuits, figures as draw, heat_maps, quanta
from mathprobe.seeds import rng_for
from mathprobe.spec import CircuitSearch, Enrichment
from mathprobe.studies import controls
from mathprobe.studies.circuits import Circuit

torch.set_num_threads(1)  # so that a run can be repeated bit by bit


def show(figure, name):
    """Save and display a figure."""
    draw.save(figure, Path(figures) / f"foreign_{name}")
    display(SVG(filename=Path(figures) / f"foreign_{name}.svg"))


# %% [markdown]
# ## A model from elsewhere
#
# The model adds numbers of two digits: it reads `47+38=` and writes `+085`. It is
# written in plain PyTorch; `config` has the fields of its `HookedTransformerConfig`.

# %%
config = {
    **{"n_layers": 2, "d_model": 48, "n_heads": 2, "d_head": 24, "d_mlp": 96},
    **{"n_ctx": 9, "d_vocab": 13, "d_vocab_out": 12, "act_fn": "gelu"},
}
width, heads, hidden = config["d_model"], config["n_heads"], config["d_mlp"]
layers = [f"blocks.{number}." for number in range(config["n_layers"])]
rng = torch.Generator().manual_seed(0)


def random(*shape):
    return 0.8 * width**-0.5 * torch.randn(shape, generator=rng)


def initial_norm(name):
    return {f"{name}.w": torch.ones(width), f"{name}.b": torch.zeros(width)}


def initial_layer(name):
    """Return the initial weights of a layer."""
    weights = initial_norm(f"{name}ln1") | initial_norm(f"{name}ln2")
    for part in "QKV":
        weights[f"{name}attn.W_{part}"] = random(heads, width, width // heads)
        weights[f"{name}attn.b_{part}"] = torch.zeros(heads, width // heads)
    weights[f"{name}attn.W_O"] = random(heads, width // heads, width)
    weights[f"{name}mlp.W_in"] = random(width, hidden)
    weights[f"{name}mlp.b_in"] = torch.zeros(hidden)
    weights[f"{name}mlp.W_out"] = random(hidden, width)
    weights |= dict.fromkeys((f"{name}attn.b_O", f"{name}mlp.b_out"), torch.zeros(width))
    return weights


def logits(weights, ids):
    """Return the logits [B, T, 12] of the next token after each prefix of ids [B, T]."""

    def norm(x, name):
        return functional.layer_norm(x, (width,), weights[f"{name}.w"], weights[f"{name}.b"])

    x = weights["embed.W_E"][ids] + weights["pos_embed.W_pos"][: ids.shape[1]]
    for name in layers:
        y = norm(x, f"{name}ln1")[:, None]  # [B, 1, T, D]
        query, key, value = (
            y @ weights[f"{name}attn.W_{part}"] + weights[f"{name}attn.b_{part}"][:, None]
            for part in "QKV"
        )
        z = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + (z @ weights[f"{name}attn.W_O"]).sum(1) + weights[f"{name}attn.b_O"]
        y = norm(x, f"{name}ln2") @ weights[f"{name}mlp.W_in"] + weights[f"{name}mlp.b_in"]
        x = x + functional.gelu(y) @ weights[f"{name}mlp.W_out"] + weights[f"{name}mlp.b_out"]
    return norm(x, "ln_final") @ weights["unembed.W_U"] + weights["unembed.b_U"]


initial = {"embed.W_E": random(13, width), "pos_embed.W_pos": random(9, width)}
for name in layers:
    initial |= initial_layer(name)
initial |= initial_norm("ln_final")
initial |= {"unembed.W_U": random(width, 12), "unembed.b_U": torch.zeros(12)}

# %% [markdown]
# Training draws its questions at random from all 10 000, so most of them are not new when all
# are tested below.

# %%
layout = Layout(2)
digits = torch.cartesian_prod(*[torch.arange(10)] * 4)  # [10 000, 4]
every = encode_questions("addition", digits[:, :2], digits[:, 2:])
weights = {name: one.clone().requires_grad_() for name, one in initial.items()}
optimizer = torch.optim.AdamW(weights.values(), betas=(0.9, 0.98), weight_decay=0.1)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.005, total_steps=updates)
for _ in range(updates):
    ids = every[torch.randint(len(every), (64,), generator=rng)]
    predicted = logits(weights, ids[:, :-1])[:, -layout.answer_length :]
    loss = functional.cross_entropy(predicted.flatten(0, 1), layout.split(ids).answer.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
print(f"questions in training: {64 * updates}; last loss: {loss:.1e}")

# %% [markdown]
# ## Convert it
#
# A file of weights and its configuration are all that is needed. The same model before
# training is also converted: it is a control in later sections.

# %%
with TemporaryDirectory() as folder:
    torch.save(weights, f"{folder}/weights.pt")
    torch.save(initial, f"{folder}/initial.pt")
    files.write_json(Path(folder, "config.json"), config)
    decoder = from_state_dict(f"{folder}/weights.pt", f"{folder}/config.json")
    untrained = from_state_dict(f"{folder}/initial.pt", f"{folder}/config.json")

with torch.inference_mode():
    some = every[::10, :-1]
    difference = (decoder(some) - logits(weights, some)).abs().max()
print(f"largest difference between logits is below 0.0001: {bool(difference < 1e-4)}")
answered = Run.greedy(decoder, every, layout.answer_length)
right = (answered.ids == every).all(1).double().mean()
print(f"right answers, of all {len(every)} questions: {right:.2%}")

# %% [markdown]
# ## Where is the carry?
#
# We draw pairs of questions that differ in one token, the last digit of the second
# number. The *clean* question carries in the units column, the *corrupted* one does
# not. So their answers differ in the tens digit A1. The metric is the logit of the clean
# question's A1 minus that of the corrupted one's. Activations of the clean run are
# patched into the corrupted run, one node at a time (denoising): 0 means no effect, 1 that
# the metric is as in the clean run.
#
# The control patches activations of another pair's clean question, which carries as well
# but has other digits. A cell is grey if the 95 % interval of its effect contains 0.

# %%
pairs = 200
chance = rng_for("foreign_model", "pairs")
units = torch.randint(1, 10, (pairs,), generator=chance)
drawn = torch.rand(2, pairs, generator=chance)
tens = torch.randint(10, (2, pairs), generator=chance)
carries = 10 - units + (drawn[0] * units).long()  # from 10 - units to 9
without = (drawn[1] * (10 - units)).long()  # from 0 to 9 - units
first = torch.stack([tens[0], units], 1)
questions = [
    encode_questions("addition", first, torch.stack([tens[1], last], 1))
    for last in (carries, without)
]
answers = [layout.split(ids).answer for ids in questions]
clean, corrupted = (Run.greedy(decoder, ids, layout.answer_length) for ids in questions)
metric = logit_difference(*answers)
place = layout.answer_length - 2  # of A1 in the answer
nodes = [*clean.nodes, *clean.residual_nodes]
patching = patch_nodes([(node,) for node in nodes])
denoised = effects(corrupted, clean, patching, metric, chance, slice(place, place + 1))


def outside_zero(nodes, found):
    """Return estimates by node; NaN if the interval contains 0."""
    excluded = (found.low > 0) | (found.high < 0)
    values = found.value.where(excluded, torch.nan).tolist()
    return dict(zip(nodes, values, strict=True))


shown = {
    "clean activation": outside_zero(nodes, denoised.effect),
    "control: of another pair": outside_zero(nodes, denoised.control),
}
tokens = layout.names[:-1]  # the last token is not read
show(heat_maps.node_values(shown, tokens, "normalized effect on A1"), "patching")

# %% [markdown]
# A patch that only erases the answer, so that the metric becomes 0, has an effect too: about
# one half if both runs prefer their own answer equally. The next cell lists the heads and MLPs
# whose interval lies above it. A node that is listed for both panels transmits something
# that all clean questions share, such as the carry. A node that is listed only for the first
# one transmits something about its own question.

# %%
own, other = (run.measure([[]], metric)[0, :, place].mean() for run in (clean, corrupted))
erased = float(other / (other - own))
print(f"effect of a patch that only erases the answer: {erased:.2f}")
for name, found in zip(shown, denoised, strict=True):
    above = (found.low > erased).tolist()
    names = [node.name for node, larger in zip(clean.nodes, above, strict=False) if larger]
    print(f"{name}: {', '.join(names) or 'none'}")

# %% [markdown]
# The largest effects, with their intervals:

# %%
table = pd.DataFrame(
    {
        "node": [node.name for node in nodes],
        "token": [tokens[node.position] for node in nodes],
        **{
            f"{name}{part}": getattr(found, part).numpy()
            for name, found in (("", denoised.effect), ("control ", denoised.control))
            for part in ("value", "low", "high")
        },
    }
)[: len(clean.nodes)]
largest = table.sort_values("value", ascending=False, kind="stable").head(8)
largest.style.format("{:.2f}", subset=largest.columns[2:]).hide(axis="index")

# %% [markdown]
# ## What do the heads attend to?
#
# The figure shows the mean attention over the clean questions, and over the same questions
# before training.

# %%
heads_only = [node for node in clean.nodes if node.is_head]
before = Run.greedy(untrained, questions[0], layout.answer_length)
patterns = {
    name: dict(zip(heads_only, mean_attention(run, heads_only).tolist(), strict=True))
    for name, run in (("trained", clean), ("untrained", before))
}
show(heat_maps.attention(patterns, tokens), "patterns")

# %% [markdown]
# ## Which nodes write the answer?
#
# Direct logit attribution is what a node adds to the logit of the right token minus that
# of the corrupted question's token. Each position affects only the token that it
# predicts, so the input A2 stands for the answer digit A1. Where both answers have the
# same token, the difference is 0. The control has the tokens of another pair.

# %%
writers = [node for node in clean.nodes if node.position >= layout.question_length - 1]


def attribution(*tokens):
    """Return the mean attribution of each node to the token that it affects."""
    added = logit_attribution(clean, writers, *tokens).sum(-1)
    return outside_zero(writers, estimate(added, chance))


attributions = {
    "own answers": attribution(*answers),
    "control: of another pair": attribution(*(one.roll(1, 0) for one in answers)),
}
show(heat_maps.node_values(attributions, tokens, "logit difference"), "attribution")

# %% [markdown]
# ## Its circuit
#
# The search is that of the page `addition_circuit`. A node is useful if an answer becomes wrong
# when it is ablated. It performs a sub-task if patching it changes the answer as the sub-task
# predicts, in more than three quarters of the pairs of questions. A blank cell is a useful node without
# a known sub-task.

# %%
settings = CircuitSearch(
    questions_per_class=40,
    ablation="mean",
    first_layer_means=False,
    min_attention=0.01,
    pairs=128,
    questions_per_case=100,
    random_sets=5,
)
questions_of = single_operation("addition", 2, Enrichment(batches=0.0, nines=0.0, equal=0.0))
circuit = Circuit(questions_of, decoder, settings)
useful = circuit.facts.nodes
known = controls.nodes_with_purpose(circuit)
print(f"useful nodes: {len(useful)} of {len(clean.nodes)}; with a sub-task: {len(known)}")
show(quanta.draw("purpose", circuit.facts, 2), "purpose")

# %% [markdown]
# The next table shows for how many candidates (nodes and pairs of heads) a sub-task is
# found, with the 95 % interval of the share, in the model, in as many random nodes and
# pairs, and before training. If intervals overlap, a difference may be due to chance.

# %%
rows = pd.DataFrame(controls.table(circuit, untrained), columns=controls.COLUMNS)
circuits.chance(rows)

# %% [markdown]
# Is the circuit sufficient? The table shows the share of answers that stay right if all
# other nodes are ablated: their output is its mean, or their output for another question.

# %%
kept = arith_pivots.sufficiency(rows)
kept.style.format("{:.1%}", subset=kept.columns.drop("nodes"))
