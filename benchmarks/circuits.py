"""Time the circuit analysis of a decoder of the paper's shape.

The decoder is untrained, and its answers are treated as correct.  All of its nodes are
then useful, so the analysis takes longer than for a trained decoder.  The search for
sub-tasks is limited to as many candidate nodes as a trained decoder has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

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
from torch import Tensor

from mathprobe.catalog import Catalog
from mathprobe.interp.patching import Run
from mathprobe.studies.arith import models
from mathprobe.studies.circuits import Circuit, SubtaskSearch

# Number of candidate nodes and sets of nodes at one position of a trained decoder
# (2 layers, 3 heads).
SINGLE, PAIRED = 8, 3


class Untrained(Circuit):
    """Analysis of a decoder whose answers are treated as correct."""

    def searches(self) -> Iterator[SubtaskSearch]:
        """Yield the searches with fewer candidate nodes."""
        for search in super().searches():
            nodes, sets = search.nodes[:SINGLE], search.sets[:PAIRED]
            yield replace(search, nodes=nodes, sets=sets)

    def is_correct(self, run: Run, ids: Tensor) -> Tensor:
        """Return a mask [B] that is true for all answers."""
        return torch.ones(len(ids), dtype=torch.bool)


def main() -> None:
    """Time the stages of the analysis and print a table."""
    parser = argument_parser(__doc__)
    parser.add_argument("--model", default="add_d6_l2_h3_t15K_s372001")
    args = parser.parse_args()
    catalog = Catalog.load(CONFIG).arith(SCALE)
    spec = catalog.model(args.model)
    network = models.build(spec).to(DEVICE).eval()
    circuit = Untrained(spec.questions, network, catalog.circuits())
    stages: dict[str, Callable[[], object]] = {
        "questions": lambda: circuit.varied_questions,
        "ablation values": lambda: circuit.ablation_values,
        "positions": lambda: circuit.positions,
        "nodes": lambda: circuit.ablation_facts,
        "attention": lambda: circuit.attention_facts,
        "principal components": lambda: circuit.pca_results,
        "search": lambda: circuit.search_results,
    }
    seconds: dict[str, float] = {}
    for name, compute in stages.items():
        start = time.perf_counter()
        compute()
        seconds[name] = round(time.perf_counter() - start, 1)
        print(f"{name:>20} {seconds[name]:8.1f} s", flush=True)
    counts = {
        "questions": len(circuit.varied_questions[0].ids),
        "interventions": sum(len(rates) for _, rates in circuit.search_results),
        "nodes": len(circuit.ablation_facts.nodes),
        "memory": process_memory(),
    }
    measured = Measurements.of_device(args.folder)
    measured.add(tables.CIRCUITS, args.model, {"seconds": seconds, **counts})
    section = measured.section(tables.CIRCUITS)
    print(f"\n{tables.format_section(tables.CIRCUITS, section)}")


if __name__ == "__main__":
    main()
