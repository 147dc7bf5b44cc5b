"""Made-up results of a scale, in the shape of its tidy tables."""

from pathlib import Path

from mathprobe.catalog import SCHEMA, Catalog, read

PROJECT = Path(__file__).parent.parent
PAPER = PROJECT / "paper"
PUBLISHED = read(PAPER / "published" / "charton2022.yaml")
CATALOG = Catalog(read(PROJECT / "config" / "config.yaml"), read(PROJECT / SCHEMA))
LAWS = CATALOG.laws
SCALES = ["smoke", "demo", "paper"]


def facts(scale: str) -> dict:
    return {
        **CATALOG.facts(scale),
        "published": PUBLISHED,
        "labels": PUBLISHED["labels"],
    }


def share(accuracy: float, examples: int = 5000) -> dict:
    ends = {"low": max(0.0, accuracy - 0.01), "high": min(1.0, accuracy + 0.01)}
    return {"examples": examples, "accuracy": accuracy, **ends}


def square(n: int) -> list[dict]:
    place = {"n": n, "recipe": "base", "seeds": 1, "oracle": 0.96}
    place |= {"published": None, "spread": None}
    return [
        {"train": a, "test": b, **place, **share((i + j) / 14)}
        for i, a in enumerate(LAWS)
        for j, b in enumerate(LAWS)
    ]


def by_tolerance() -> list[dict]:
    measured = {"seeds": 1, "spread": None, "oracle": 0.9, "malformed": 0.001}
    return [
        {"law": law, "tolerance": t, **share(10 * t), **measured}
        for law in LAWS
        for t in (0.05, 0.02, 0.01, 0.005)
    ]


def speed(n: int, accuracy: float) -> list[dict]:
    place = {"n": n, "recipe": "base", "target": accuracy, "published": None}
    place |= {"seeds": 1, "reached": 1, "spread": None}
    steps = {"resolution": 20032, "budget": 400000}
    return [
        {
            "train": law,
            "test": test,
            **place,
            "examples": examples,
            **steps,
            "best": best,
        }
        for law in LAWS
        for test, examples, best in (
            ("semicircle", None, 0.5),
            ("abs_semicircle", 41264, 1.0),
        )
    ]


def condition_numbers() -> list[dict]:
    published = PUBLISHED["condition_numbers"]
    return [
        {
            **{"law": law, "n": 5, "matrices": 10000, "rejected": 0},
            **{"quantile": quantile, "value": value},
            **{"low": 0.9 * value, "high": 1.1 * value, "published": value},
        }
        for law, row in published["rows"].items()
        for quantile, value in zip(published["quantiles"], row, strict=True)
    ]


def runs(n: int) -> list[dict]:
    made = {
        **{
            "n": n,
            "recipe": "base",
            "machine": "a_b",
            "cpu": "Cores & Co",
            "threads": 1,
            "processes": 1,
            "precision": "float32",
            "seeds": 1,
        },
        **{"device": "cpu", "parameters": 301442, "examples": 400000, "seconds": 200.5},
        **{"examples_per_second": 1995.0, "attempts": 1, "python": "3.11.7"},
        **{
            "finished": "2026-01-01",
            "torch": "2.13.0",
            "revision": None,
            "clean": None,
        },
    }
    return [{"model": law, "law": law, **made} for law in LAWS]


def mock(scale: str, *others: str) -> dict[str, list[dict]]:
    """Give the tables of a scale, and more squares that were asked for."""
    asked = CATALOG.linalg(scale)["tables"]
    entry, pace = asked["out_of_distribution"][0], asked["learning_speed"][0]
    name = f"{entry['task']}_n{entry['n']}"
    return {
        **{f"ood_{other}": square(int(other.rsplit("_n")[1])) for other in others},
        f"ood_{name}": square(entry["n"]),
        f"tolerances_{name}": by_tolerance(),
        f"learning_speed_{name}": speed(pace["n"], pace["accuracy"]),
        "condition_numbers": condition_numbers(),
        "runs": runs(entry["n"]),
    }
