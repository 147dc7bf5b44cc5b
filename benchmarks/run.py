"""Measure the speed of mathprobe and of the baseline: `make bench`; see README.md.

Rates are examples per second: the best and the median of several repeats.
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
from mathprobe.data_loader import BATCHES_PER_BLOCK
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.losses import PRECISIONS
from mathprobe.seeds import rng_for
from mathprobe.spec import Model
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.data import draw
from mathprobe.studies.linalg.models import build, predict
from mathprobe.studies.linalg.training import trainer

REPEATS = 3
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
UPDATES = {"cpu": 1, "cuda": 100}[DEVICE]  # in each timed call
MEMORY_COLUMNS = ("memory", "plain_memory")
TASK, DISTRIBUTION = "eigenvalues", "laplace"


def rate(
    function: Callable[[], object], examples: int, repeats: int = REPEATS
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


def matrix_rate(precision: str, size: int = 2048) -> float:
    """Measure the FLOP/s of matrix products on the device."""
    a = torch.randn(size, size, device=DEVICE, dtype=PRECISIONS[precision])
    return rate(lambda: a @ a, 2 * size**3, 10)["best"]


def generation(model: Model) -> dict[str, Any]:
    """Measure the generation of examples; on a CPU, with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    draw = trainer(model, DEVICE).train_states[1].loader.draw
    ours = rate(lambda: draw(1), BATCHES_PER_BLOCK * model.schedule.batch, 10)
    data = baseline.Data(model.data.n)
    plain = rate(lambda: data.batch(256), 256)
    torch.set_num_threads(threads)
    return {"ours": ours, "plain": plain}


def trainings(model: Model) -> dict[str, Model]:
    """Return the training variants to measure, by name; fewer on a CPU."""
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


def training(model: Model, matmul_rate: float) -> dict[str, Any]:
    """Measure updates of a model and of the baseline.

    `matmul_rate` is the FLOP/s of matrix products on the device.
    """
    examples = UPDATES * model.schedule.batch
    flops = example_flops(model)
    rates = rate(repeated(ours(model)), model.seeds * examples)
    return {
        "ours": rates,
        "plain": rate(repeated(plain(model)), examples),
        "flops": flops,
        "share_of_floor": flops * rates["best"] / matmul_rate,
        "memory": peak_memory(ours, model),
        "plain_memory": peak_memory(plain, model),
    }


def repeated(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that makes UPDATES updates without synchronization."""

    def steps() -> None:
        for _ in range(UPDATES):
            step()

    return steps


def example_flops(model: Model, batch: int = 8) -> float:
    """Count the FLOPs of training on one example."""
    small = replace(model, seeds=1, schedule=replace(model.schedule, batch=batch))
    with FlopCounterMode(display=False) as counter:
        trainer(small, "cpu").step()
    return counter.get_total_flops() / batch


def peak_memory(prepare: Callable[[Model], Callable[[], None]], model: Model) -> float:
    """Measure the peak memory of updates in MB, in a separate process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_memory, [prepare, model])


def _peak_memory(prepare: Callable[[Model], Callable[[], None]], model: Model) -> float:
    step = prepare(model)
    for _ in range(2):
        step()
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    # Not getrusage: its maximum is inherited from the parent process.
    status = Path("/proc/self/status").read_text()
    return 1.024e-3 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def decoding(model: Model, examples: int = 256) -> dict[str, Any]:
    """Measure greedy decoding of test examples."""
    codecs = Codecs(model)
    network = build(model, 1).to(DEVICE)
    matrix = draw(model.data, rng_for("benchmark", model.data.n), examples).matrix
    rates = rate(lambda: predict(codecs, network, matrix), examples)
    other = build_baseline(model)
    source = baseline.Data(model.data.n).batch(examples)[0].to(DEVICE)
    length = codecs.target.max_length(*codecs.output_shape)
    return {
        "ours": rates,
        "plain": rate(lambda: baseline.decode(other, source, length), examples),
    }


def encodings(numbers: int = 200_000) -> dict[str, Any]:
    """Measure the encodings of numbers with three digits, on one thread."""
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
    sizes: list[int], matmul_rates: dict[str, float]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the result of each measurement, at the paper's shapes."""
    catalog = Catalog.load("config/config.yaml")
    for key, value in encodings().items():
        yield f"numbers, {key}", value
    for n in sizes:
        model = catalog.model("paper", TASK, DISTRIBUTION, n, "base")
        yield f"generation, n={n}", generation(model)
        for name, varied in trainings(model).items():
            result = training(varied, matmul_rates[varied.precision])
            yield f"training, n={n}, {name}", result
        yield f"decoding, n={n}", decoding(model)


def measure(sizes: list[int]) -> dict[str, Any]:
    """Run all measurements and print each result."""
    matmul_rates = {precision: matrix_rate(precision) for precision in PRECISIONS}
    results = {}
    for name, row in measurements(sizes, matmul_rates):
        results[name] = row
        print(f"{name}: {row['ours']['best']:,.0f}/s", flush=True)
    return {
        "machine": {
            **provenance.collect("linalg"),
            "device": torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE,
            "threads": torch.get_num_threads(),
            "matrix_rates": matmul_rates,
        },
        "results": results,
    }


def table(measured: dict[str, Any], previous: dict[str, Any] | None) -> str:
    """Return the measurements as a Markdown table."""
    machine = measured["machine"]
    rates = machine["matrix_rates"].items()
    matmuls = ", ".join(f"{rate / 1e9:,.0f} ({precision})" for precision, rate in rates)
    lines = [
        f"{machine['device']} ({machine['cpu']}), {machine['threads']} threads, "
        f"torch {machine['versions']['torch']}; matrix products at {matmuls} GFLOP/s",
        "",
        "| examples/s (best of several) | ours | baseline | ratio | of matmul rate "
        "| previous | memory, MB | baseline |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in measured["results"].items():
        ours = row["ours"]["best"]
        plain = row.get("plain", {}).get("best")
        old = previous and previous["results"].get(name, {}).get("ours", {})
        cells = [
            f"{ours:,.0f}",
            f"{plain:,.1f}" if plain else "",
            f"{ours / plain:.1f}" if plain else "",
            f"{row['share_of_floor']:.0%}" if "share_of_floor" in row else "",
            f"{old['best']:,.0f}" if old else "",
            *(f"{row[key]:,.0f}" if key in row else "" for key in MEMORY_COLUMNS),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmarks, write a JSON file and print a table."""
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
