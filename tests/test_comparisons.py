import pandas as pd

from mathprobe.interp.facts import Fact, Facts
from mathprobe.interp.nodes import Node
from mathprobe.studies.comparisons import reuse, summary

A, B, C, D = (Node.parse(f"P12{part}") for part in ("L0H0", "L0H1", "L0MLP", "L1H3"))


def facts(**done):
    """Return facts of nodes A to D, given as tuples of the other fields."""
    nodes = {"A": A, "B": B, "C": C, "D": D}
    return Facts(
        Fact(nodes[name], *fields) for name, facts in done.items() for fields in facts
    )


def needs(*levels):
    return [("fails", level, 0.5, 0.4, 0.6) for level in levels]


def does(task, column, low=0.9):
    return [(task, str(column), 1.0, low, 1.0)]


PARENT = facts(
    A=needs("S0") + does("SA", 1), B=needs("S1") + does("ST", 2), C=needs("S0")
)
CHILD = facts(
    A=needs("S0", "M2", "N1") + does("SA", 1) + does("MD", 1),
    C=needs("M0", "M1") + does("SA", 0, low=0.4),
    D=needs("N2") + does("ND", 1),
)


def counts(rows):
    return {row["quantity"]: (row["count"], row["total"]) for row in rows}


def test_summary_counts_nodes_and_clauses():
    clauses = [
        {"algorithm": "addition", "optional": False, "holds": True},
        {"algorithm": "addition", "optional": False, "holds": False},
        {"algorithm": "addition", "optional": True, "holds": False},
    ]
    found = counts(summary(CHILD, pd.DataFrame(clauses)))
    assert found == {
        "useful heads": (2, None),
        "useful mlps": (1, None),
        "heads with a purpose": (2, 2),
        "mlps with a purpose": (0, 1),
        "nodes for S": (1, 3),
        "nodes for M": (2, 3),
        "nodes for N": (2, 3),
        "nodes for 1 of 3 classes": (2, 3),
        "nodes for 2 of 3 classes": (0, 3),
        "nodes for 3 of 3 classes": (1, 3),
        "clauses of addition": (1, 2),
    }


def test_reuse_counts_inserted_nodes():
    assert counts(reuse(CHILD, PARENT)) == {
        "inserted nodes": (3, 3),
        "inserted nodes in use": (2, 3),
        "inserted heads in use": (1, 2),
        "nodes in use for S": (1, 3),
        "inserted nodes for S": (1, 3),
        "nodes in use for M": (2, 3),
        "inserted nodes for M": (2, 3),
        "nodes in use for N": (2, 3),
        "inserted nodes for N": (1, 3),
        "inserted nodes for several classes": (1, 3),
        "inserted nodes that still do a sub-task": (1, 2),
    }
