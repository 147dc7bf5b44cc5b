"""Time a map of a decoder of the paper's shape: `python benchmarks/circuits.py`.

The decoder is not trained, and what it answers is taken for right.  So every node is
useful, which takes longer than in a trained one.  Every head attends everywhere, too;
of the candidates for a sub-task as many are tried as a trained decoder has.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mathprobe import files
from mathprobe.catalog import Catalog
from mathprobe.interp.patching import Run
from mathprobe.studies.arith import models
from mathprobe.studies.circuits import Circuit, SubtaskSearch

CONFIG = Path(__file__).parent.parent / "config/config.yaml"
SINGLE, PAIRED = 8, 3  # two layers of three heads, at a position


class Untrained(Circuit):
    """A decoder whose answers are taken for right."""

    def searches(self) -> Iterator[SubtaskSearch]:
        """Try few of the nodes."""
        for search in super().searches():
            nodes, pairs = search.nodes[:SINGLE], search.pairs[:PAIRED]
            yield replace(search, nodes=nodes, pairs=pairs)

    def is_correct(self, run: Run, ids: Tensor) -> Tensor:
        """Keep all questions."""
        return torch.ones(len(ids), dtype=torch.bool)


def main() -> None:
    """Time the stages of a map, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="add_d6_l2_h3_t15K_s372001")
    args = parser.parse_args()
    catalog = Catalog.load(CONFIG).arith("paper")
    spec = catalog.model(args.model)
    circuit = Untrained(spec, models.build(spec).eval(), catalog.circuits())
    stages: dict[str, Callable[[], object]] = {
        "questions": lambda: circuit.varied_questions,
        "replacements": lambda: circuit.ablation_values,
        "positions": lambda: circuit.positions,
        "nodes": lambda: circuit.ablation_facts,
        "attention": lambda: circuit.attention_facts,
        "components": lambda: circuit.pca_results,
        "search": lambda: circuit.search_results,
    }
    seconds: dict[str, float] = {}
    for name, work in stages.items():
        begun = time.perf_counter()
        work()
        seconds[name] = round(time.perf_counter() - begun, 1)
        print(f"{name:>14} {seconds[name]:8.1f} s", flush=True)
    tried = sum(len(rates) for _, rates in circuit.search_results)
    facts = {"questions": len(circuit.varied_questions[0].ids), "exchanges": tried}
    facts |= {
        "nodes": len(circuit.ablation_facts.nodes),
        "threads": torch.get_num_threads(),
    }
    print(facts, f"{sum(seconds.values()):.0f} s")
    files.write_json(args.out, {"model": args.model, "seconds": seconds, **facts})


if __name__ == "__main__":
    main()
