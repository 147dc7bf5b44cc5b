"""Measure the speed of mathprobe and of the baseline: `make bench`; see README.md.

Rates are examples per second: the best and the median of several repeats.
"""

from __future__ import annotations

import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import baseline
import tables
import torch
from measurements import (
    CONFIG,
    DEVICE,
    SCALE,
    Measurements,
    argument_parser,
    process_memory,
)
from msgspec.structs import replace

from mathprobe import flops
from mathprobe.catalog import Catalog
from mathprobe.data_loader import BATCHES_PER_BLOCK
from mathprobe.estimates import flops_per_example
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.seeds import rng_for
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw
from mathprobe.studies.linalg.models import build, predict
from mathprobe.studies.linalg.training import trainer

TASK, DISTRIBUTION = "eigenvalues", "laplace"
SHORT_SIZE = 5
# Features of a CPU that multiplies bfloat16 matrices; others are many times slower.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
Planned = dict[str, Callable[[], dict[str, Any]]]


@dataclass(frozen=True)
class Effort:
    """Extent of the measurements."""

    repeats: int
    updates: int  # in each timed call
    memory: bool  # whether to measure the peak memory
    examples: int  # to decode


FULL = Effort(3, {"cpu": 1, "cuda": 100}[DEVICE], memory=True, examples=256)
SHORT = Effort(1, {"cpu": 1, "cuda": 50}[DEVICE], memory=False, examples=64)


def rate(
    function: Callable[[], object], examples: int, repeats: int
) -> dict[str, float]:
    """Return the examples per second of a function that processes `examples`."""
    function()  # the first call includes one-time costs
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        rates.append(examples / (time.perf_counter() - start))
    return {"best": max(rates), "median": statistics.median(rates)}


def generation(model: Model, effort: Effort) -> dict[str, Any]:
    """Measure the generation of examples, on one thread of the CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    draw_block = trainer(model, "cpu").train_states[1].loader.draw
    examples = BATCHES_PER_BLOCK * model.schedule.batch
    ours = rate(lambda: draw_block(1), examples, 3 * effort.repeats)
    data = baseline.Data(model.data.n)
    plain = rate(lambda: data.batch(256), 256, effort.repeats)
    torch.set_num_threads(threads)
    return {"ours": ours, "plain": plain}


def trainings(model: Model) -> dict[str, Model]:
    """Return the training variants to measure, by name; fewer on a CPU."""
    one = replace(model, seeds=1)
    single = replace(one, precision="float32")
    if DEVICE == "cpu":
        several = {"float32, 3 seeds": replace(single, seeds=3)}
        return {"float32": single, "bfloat16": one, **several}
    large = replace(model.schedule, batch=1024)
    return {
        "float32": single,
        "bfloat16": one,
        "bfloat16, 3 seeds": replace(model, seeds=3),
        "bfloat16, batch 1024": replace(one, schedule=large),
    }


def cpu_flags() -> set[str]:
    """Return the features of the CPU; none if they are unknown."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.M)
    return set(found[1].split()) if found else set()


def reason_to_leave_out(precision: str, flags: set[str]) -> str | None:
    """Return why a CPU with these features does not train in a precision, or None."""
    if precision != "bfloat16" or flags & BFLOAT16_FLAGS:
        return None
    *others, last = sorted(BFLOAT16_FLAGS)
    return f"the CPU has none of {', '.join(others)} and {last}"


def build_baseline(model: Model) -> baseline.Model:
    """Build the baseline network of the same shape."""
    encoder = model.encoder
    layers = encoder.layers, model.decoder.layers
    return baseline.Model(layers, encoder.width, encoder.heads).to(DEVICE)


def ours(model: Model) -> Callable[[], None]:
    """Return a function that makes one update of a model, with data generation."""
    return trainer(model, DEVICE).step


def plain(model: Model) -> Callable[[], None]:
    """Return a function that makes one update of the baseline, with its data."""
    network = build_baseline(model)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    data = baseline.Data(model.data.n)

    def step() -> None:
        source, target = data.batch(model.schedule.batch)
        baseline.step(network, adam, (source.to(DEVICE), target.to(DEVICE)))

    return step


def training(model: Model, effort: Effort) -> dict[str, Any]:
    """Measure updates of a model and of the baseline, which is always in float32."""
    reason = reason_to_leave_out(model.precision, cpu_flags())
    if DEVICE == "cpu" and reason:
        return {"left_out": reason}
    examples = effort.updates * model.schedule.batch
    row = our_updates(model, effort)
    row["plain"] = rate(repeated(plain(model), effort), examples, effort.repeats)
    if effort.memory:
        row["memory"] = peak_memory(ours, model)
        row["plain_memory"] = peak_memory(plain, model)
    return row


def our_updates(model: Model, effort: Effort) -> dict[str, Any]:
    """Measure updates of a model: rate, share of the matmul rate, waiting for data.

    The measurement begins at the end of a block of data, so that at least one block is
    loaded.  On a CPU, its data had less time to be drawn than in a training.
    """
    matmul_rate, _ = flops.measure_matmul_rate(model.precision)
    training = trainer(model, DEVICE)
    training.updates = BATCHES_PER_BLOCK - 1
    training.step()
    loaders = [state.loader for state in training.train_states.values()]
    first = sum(loader.seconds_waited for loader in loaders)
    batch = model.seeds * model.schedule.batch
    step = repeated(training.step, effort)
    rates = rate(step, effort.updates * batch, effort.repeats)
    waited = sum(loader.seconds_waited for loader in loaders) - first
    blocks = (training.updates - 1) // BATCHES_PER_BLOCK
    flop = flops_per_example(model)
    return {
        "ours": rates,
        "flops": flop,
        "matmul_rate": matmul_rate,
        "share_of_floor": flop * rates["best"] / matmul_rate,
        "waiting": waited / blocks * rates["best"] / (BATCHES_PER_BLOCK * batch),
    }


def repeated(step: Callable[[], None], effort: Effort) -> Callable[[], None]:
    """Return a function that makes several updates without synchronization."""

    def steps() -> None:
        for _ in range(effort.updates):
            step()

    return steps


def peak_memory(prepare: Callable[[Model], Callable[[], None]], model: Model) -> float:
    """Measure the peak memory of updates in MB, in a separate process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_memory, [prepare, model])


def _peak_memory(prepare: Callable[[Model], Callable[[], None]], model: Model) -> float:
    step = prepare(model)
    for _ in range(2):
        step()
    return process_memory()


def decoding(model: Model, effort: Effort) -> dict[str, Any]:
    """Measure greedy decoding of test examples."""
    codecs, examples = Codecs(model), effort.examples
    network = build(model, 1).to(DEVICE)
    matrix = draw(model.data, rng_for("benchmark", model.data.n), examples).matrix
    decode = partial(predict, codecs, network, matrix)
    other = build_baseline(model)
    source = baseline.Data(model.data.n).batch(examples)[0].to(DEVICE)
    length = codecs.target.max_length(*codecs.output_shape)
    decode_plain = partial(baseline.decode, other, source, length)
    return {
        "ours": rate(decode, examples, effort.repeats),
        "plain": rate(decode_plain, examples, effort.repeats),
    }


def encoding(name: str, direction: str, numbers: int = 200_000) -> dict[str, Any]:
    """Measure an encoding of numbers with three digits, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    chosen = ENCODINGS[name](digits=3)
    x = 10 * torch.randn(numbers, dtype=torch.float64)
    ids = chosen.encode(x)
    calls = {"write": partial(chosen.encode, x), "read": partial(chosen.decode, ids)}
    measured = rate(calls[direction], numbers, FULL.repeats)
    torch.set_num_threads(threads)
    return {"ours": measured}


def all_measurements(catalog: Catalog, sizes: list[int]) -> Planned:
    """Return functions that make the measurements, by name, at the paper's shapes."""
    planned: Planned = {
        f"numbers, {name} {direction}": partial(encoding, name, direction)
        for name in ENCODINGS
        for direction in ("write", "read")
    }
    for n in sizes:
        model = catalog.model(SCALE, TASK, DISTRIBUTION, n, "base")
        planned |= measurements_of_size(model, trainings(model), FULL)
    return planned


def short_measurements(catalog: Catalog) -> Planned:
    """Return the functions of the short form, which takes a minute or two."""
    model = catalog.model(SCALE, TASK, DISTRIBUTION, SHORT_SIZE, "base")
    variants = trainings(model)
    chosen = {name: variants[name] for name in ("float32", "bfloat16")}
    return measurements_of_size(model, chosen, SHORT)


def measurements_of_size(
    model: Model, variants: dict[str, Model], effort: Effort
) -> Planned:
    """Return functions that make the measurements of a model, by name."""
    n = model.data.n
    return {
        f"generation, n={n}": partial(generation, model, effort),
        **{
            f"training, n={n}, {name}": partial(training, variant, effort)
            for name, variant in variants.items()
        },
        f"decoding, n={n}": partial(decoding, model, effort),
    }


def main() -> None:
    """Make the measurements that are missing or of other code, and print a table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 8, 10])
    parser.add_argument("--short", action="store_true", help="a minute or two")
    args = parser.parse_args()
    catalog = Catalog.load(CONFIG)
    measured = Measurements.of_device(args.folder)
    if args.short:
        section, planned = tables.SHORT_RATES, short_measurements(catalog)
    else:
        section, planned = tables.RATES, all_measurements(catalog, args.sizes)
    measured.measure(section, planned)
    print(f"\n{tables.format_section(section, measured.section(section))}")
    print(f"\nwritten to {measured.path}")


if __name__ == "__main__":
    main()
