"""Measure speed, both sides in one run: `make bench`.  See README.md beside this file.

Rates are examples per second; of each, the best and the median of some repeats.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline
import torch
from torch.utils.flop_counter import FlopCounterMode

from mathprobe import catalog, files, provenance
from mathprobe.linalg.encodings import ENCODINGS
from mathprobe.seeds import stream
from mathprobe.studies import linalg
from mathprobe.training import BATCHES_PER_BLOCK

REPEATS = 3
TASK, LAW = "eigenvalues", "laplace"


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


def matrix_rate(size: int = 2048) -> float:
    """Measure the device's own rate of float32 matrix products, in FLOP a second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.randn(size, size, device=device)
    return rate(lambda: a @ a, 2 * size**3, 10)["best"]


def generation(model: Any, device: str) -> dict[str, Any]:
    """Draw, solve and tokenise, on one thread where that is a processor."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    trainer = linalg.trainer(model, device)
    ours = rate(lambda: trainer.blocks(1), BATCHES_PER_BLOCK * model.schedule.batch, 10)
    data = baseline.Data(model.data.n)
    plain = rate(lambda: data.batch(256), 256)
    torch.set_num_threads(threads)
    return {"ours": ours, "plain": plain}


def training(model: Any, device: str, floor: float) -> dict[str, Any]:
    """Make updates of a model, data included, and of its plain peer."""
    trainer = linalg.trainer(model, device)
    batch = model.schedule.batch
    ours = rate(trainer.step, batch)
    with FlopCounterMode(display=False) as counter:
        trainer.step()
    stack = model.encoder
    layers = stack.layers, model.decoder.layers
    peer = baseline.Model(layers, stack.width, stack.heads).to(device)
    adam = torch.optim.Adam(peer.parameters(), lr=1e-4)
    data = baseline.Data(model.data.n)

    def plain_step() -> None:
        source, target = data.batch(batch)
        baseline.step(peer, adam, (source.to(device), target.to(device)))

    plain = rate(plain_step, batch)
    flops = counter.get_total_flops() / batch
    share = flops * ours["best"] / floor
    return {"ours": ours, "plain": plain, "flops": flops, "share_of_floor": share}


def decoding(model: Any, device: str, examples: int = 256) -> dict[str, Any]:
    """Answer test examples greedily."""
    codecs = linalg.Codecs(model)
    network = codecs.build().to(device)
    rng = stream("benchmark", model.data.n)
    matrix, _ = linalg.draw(model.data, rng, examples)
    ours = rate(lambda: codecs.predict(network, matrix), examples)
    stack = model.encoder
    layers = stack.layers, model.decoder.layers
    peer = baseline.Model(layers, stack.width, stack.heads).to(device)
    source = baseline.Data(model.data.n).batch(examples)[0].to(device)
    length = codecs.target.length(*codecs.shape)
    plain = rate(lambda: baseline.decode(peer, source, length), examples)
    return {"ours": ours, "plain": plain}


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


def measure(sizes: list[int]) -> dict[str, Any]:
    """Measure everything at the paper's shapes."""
    books = catalog.load("config/config.yaml")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    floor = matrix_rate()
    results = {f"numbers, {key}": value for key, value in encodings().items()}
    for n in sizes:
        model = books.model("paper", TASK, LAW, n, "base")
        results[f"generation, n={n}"] = generation(model, device)
        results[f"training, n={n}"] = training(model, device, floor)
        results[f"decoding, n={n}"] = decoding(model, device)
    return {
        "machine": {
            **provenance.stamp(),
            "device": torch.cuda.get_device_name() if device == "cuda" else device,
            "threads": torch.get_num_threads(),
            "matrix_rate": floor,
        },
        "results": results,
    }


def table(measured: dict[str, Any], previous: dict[str, Any] | None) -> str:
    """Write the measurements as a Markdown table."""
    machine = measured["machine"]
    lines = [
        f"{machine['device']} ({machine['cpu']}), {machine['threads']} threads, "
        f"torch {machine['versions']['torch']}; matrix products at "
        f"{machine['matrix_rate'] / 1e9:,.0f} GFLOP/s",
        "",
        "| examples/s (best of some) | ours | plain | ratio | of the floor | before |",
        "|---|--:|--:|--:|--:|--:|",
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
