"""Measure speed, both sides in one run: `make bench`.  See README.md beside this file.

Rates are examples per second; of each, the best and the median of some repeats.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import baseline
import torch
from msgspec.structs import replace
from torch.utils.flop_counter import FlopCounterMode

from mathprobe import files, provenance
from mathprobe.catalog import Catalog
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.losses import PRECISIONS
from mathprobe.seeds import rng_for
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw
from mathprobe.studies.linalg.models import build, predict
from mathprobe.studies.linalg.training import trainer
from mathprobe.train_state import BATCHES_PER_BLOCK

REPEATS = 3
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
UPDATES = {"cpu": 1, "cuda": 100}[DEVICE]  # between two looks at the clock
MEMORIES = ("memory", "plain_memory")
TASK, DISTRIBUTION = "eigenvalues", "laplace"


def rate(work: Callable[[], object], examples: int, repeats: int = REPEATS) -> dict:
    """Time some work that handles so many examples."""
    work()  # the first call pays for what later ones reuse
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        rates.append(examples / (time.perf_counter() - begun))
    return {"best": max(rates), "median": statistics.median(rates)}


def matrix_rate(precision: str, size: int = 2048) -> float:
    """Measure the device's own rate of matrix products, in FLOP a second."""
    a = torch.randn(size, size, device=DEVICE, dtype=PRECISIONS[precision])
    return rate(lambda: a @ a, 2 * size**3, 10)["best"]


def generation(model: Model) -> dict[str, Any]:
    """Draw, solve and tokenise, on one thread where that is a processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    blocks = trainer(model, DEVICE).train_states[1].batch_source
    ours = rate(lambda: blocks(1), BATCHES_PER_BLOCK * model.schedule.batch, 10)
    data = baseline.Data(model.data.n)
    plain = rate(lambda: data.batch(256), 256)
    torch.set_num_threads(threads)
    return {"ours": ours, "plain": plain}


def trainings(model: Model) -> dict[str, Model]:
    """Vary how a model is trained: what a processor has no use for is left out."""
    one = replace(model, seeds=1)
    if DEVICE == "cpu":
        single = replace(one, precision="float32")
        return {"float32": single, "float32, 3 seeds": replace(single, seeds=3)}
    large = replace(model.schedule, batch=1024)
    return {
        "float32": replace(one, precision="float32"),
        "bfloat16": one,
        "bfloat16, 3 seeds": replace(model, seeds=3),
        "bfloat16, batch 1024": replace(one, schedule=large),
    }


def peer(model: Model) -> baseline.Model:
    """Build the plain model of the same shape."""
    stack = model.encoder
    layers = stack.layers, model.decoder.layers
    return baseline.Model(layers, stack.width, stack.heads).to(DEVICE)


def ours(model: Model) -> Callable[[], None]:
    """Give an update of a model, data included."""
    return trainer(model, DEVICE).step


def plain(model: Model) -> Callable[[], None]:
    """Give an update of its plain peer, data included."""
    network = peer(model)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    data = baseline.Data(model.data.n)

    def step() -> None:
        source, target = data.batch(model.schedule.batch)
        baseline.step(network, adam, (source.to(DEVICE), target.to(DEVICE)))

    return step


def training(model: Model, floor: float) -> dict[str, Any]:
    """Make updates of a model, and of its plain peer."""
    examples = UPDATES * model.schedule.batch
    flops = example_flops(model)
    made = rate(repeated(ours(model)), model.seeds * examples)
    return {
        "ours": made,
        "plain": rate(repeated(plain(model)), examples),
        "flops": flops,
        "share_of_floor": flops * made["best"] / floor,
        "memory": peak_memory(ours, model),
        "plain_memory": peak_memory(plain, model),
    }


def repeated(step: Callable[[], None]) -> Callable[[], None]:
    """Make several updates, so that a device is not waited for after each."""

    def work() -> None:
        for _ in range(UPDATES):
            step()

    return work


def example_flops(model: Model, batch: int = 8) -> float:
    """Count the floating-point operations of training on an example."""
    small = replace(model, seeds=1, schedule=replace(model.schedule, batch=batch))
    with FlopCounterMode(display=False) as counter:
        trainer(small, "cpu").step()
    return counter.get_total_flops() / batch


def peak_memory(side: Callable[[Model], Callable[[], None]], model: Model) -> float:
    """Measure the most memory that updates take, in MB, in a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_memory, [side, model])


def _peak_memory(side: Callable[[Model], Callable[[], None]], model: Model) -> float:
    step = side(model)
    for _ in range(2):
        step()
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    # Not getrusage, whose maximum a process takes over from the one that started it.
    status = Path("/proc/self/status").read_text()
    return 1.024e-3 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def decoding(model: Model, examples: int = 256) -> dict[str, Any]:
    """Answer test examples greedily."""
    codecs = Codecs(model)
    network = build(model, 1).to(DEVICE)
    matrix = draw(model.data, rng_for("benchmark", model.data.n), examples).matrix
    made = rate(lambda: predict(codecs, network, matrix), examples)
    other = peer(model)
    source = baseline.Data(model.data.n).batch(examples)[0].to(DEVICE)
    length = codecs.target.max_length(*codecs.output_shape)
    return {
        "ours": made,
        "plain": rate(lambda: baseline.decode(other, source, length), examples),
    }


def encodings(numbers: int = 200_000) -> dict[str, Any]:
    """Write and read numbers with three digits, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x = 10 * torch.randn(numbers, dtype=torch.float64)
    rates = {}
    for name in ENCODINGS:
        encoding = ENCODINGS[name](digits=3)
        ids = encoding.encode(x)
        rates[f"{name} write"] = {"ours": rate(lambda e=encoding: e.encode(x), numbers)}
        rates[f"{name} read"] = {
            "ours": rate(lambda e=encoding, i=ids: e.decode(i), numbers)
        }
    torch.set_num_threads(threads)
    return rates


def measurements(
    sizes: list[int], floors: dict[str, float]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure one thing after the other at the paper's shapes, each with its name."""
    catalog = Catalog.load("config/config.yaml")
    for key, value in encodings().items():
        yield f"numbers, {key}", value
    for n in sizes:
        model = catalog.model("paper", TASK, DISTRIBUTION, n, "base")
        yield f"generation, n={n}", generation(model)
        for name, varied in trainings(model).items():
            made = training(varied, floors[varied.precision])
            yield f"training, n={n}, {name}", made
        yield f"decoding, n={n}", decoding(model)


def measure(sizes: list[int]) -> dict[str, Any]:
    """Measure everything, and say of each thing when it is done."""
    floors = {precision: matrix_rate(precision) for precision in PRECISIONS}
    results = {}
    for name, row in measurements(sizes, floors):
        results[name] = row
        print(f"{name}: {row['ours']['best']:,.0f}/s", flush=True)
    return {
        "machine": {
            **provenance.collect("linalg"),
            "device": torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE,
            "threads": torch.get_num_threads(),
            "matrix_rates": floors,
        },
        "results": results,
    }


def table(measured: dict[str, Any], previous: dict[str, Any] | None) -> str:
    """Write the measurements as a Markdown table."""
    machine = measured["machine"]
    rates = machine["matrix_rates"].items()
    floors = ", ".join(f"{rate / 1e9:,.0f} ({precision})" for precision, rate in rates)
    lines = [
        f"{machine['device']} ({machine['cpu']}), {machine['threads']} threads, "
        f"torch {machine['versions']['torch']}; matrix products at {floors} GFLOP/s",
        "",
        "| examples/s (best of some) | ours | plain | ratio | of the floor | before "
        "| memory, MB | plain |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in measured["results"].items():
        ours = row["ours"]["best"]
        plain = row.get("plain", {}).get("best")
        before = previous and previous["results"].get(name, {}).get("ours", {})
        cells = [
            f"{ours:,.0f}",
            f"{plain:,.1f}" if plain else "",
            f"{ours / plain:.1f}" if plain else "",
            f"{row['share_of_floor']:.0%}" if "share_of_floor" in row else "",
            f"{before['best']:,.0f}" if before else "",
            *(f"{row[key]:,.0f}" if key in row else "" for key in MEMORIES),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print a table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="JSON file")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5, 8, 10])
    parser.add_argument("--previous", type=Path, help="JSON of an earlier release")
    args = parser.parse_args()
    previous = json.loads(args.previous.read_text()) if args.previous else None
    measured = measure(args.sizes)
    files.write_json(args.out, measured)
    print(table(measured, previous))


if __name__ == "__main__":
    main()
