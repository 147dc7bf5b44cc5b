"""Write the tables of README.md from the files in `measured/`: `make bench-tables`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from measurements import FOLDER, ROOT

from mathprobe import files

README = ROOT / "benchmarks/README.md"
BEGIN, END = "<!-- begin: written by tables.py -->", "<!-- end -->"
NOTHING = "No measurement is stored in `measured/`."
RATES, SHORT_RATES, CIRCUITS = "rates", "short rates", "circuits"
TRAININGS, CHECKS = "trainings", "checks"
Row = dict[str, Any]
Rows = dict[str, Row]


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table whose columns are right-aligned, except the first."""
    titles = list(header)
    lines = [titles, ["---", *["--:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rates(rows: Rows) -> str:
    header = ("examples/s (best of several)", "ours", "baseline", "ratio")
    header += ("of matmul rate", "waiting for data", "memory, MB", "baseline")
    return markdown(header, [_rate_cells(name, rows[name]) for name in _sorted(rows)])


def _sorted(names: Iterable[str]) -> list[str]:
    """Sort names with their numbers by value, so that n=10 follows n=8."""

    def key(name: str) -> list[tuple[int, str]]:
        parts = re.split(r"([0-9]+)", name)
        return [
            (int(part or 0), "") if place % 2 else (0, part)
            for place, part in enumerate(parts)
        ]

    return sorted(names, key=key)


def _rate_cells(name: str, row: Row) -> list[str]:
    if "left_out" in row:
        return [name, f"left out: {row['left_out']}", *[""] * 6]
    ours, plain = row["ours"]["best"], row.get("plain", {}).get("best")
    return [
        name,
        f"{ours:,.0f}",
        f"{plain:,.1f}" if plain else "",
        f"{ours / plain:.1f}" if plain else "",
        f"{row['share_of_floor']:.0%}" if "share_of_floor" in row else "",
        f"{row['waiting']:.2%}" if "waiting" in row else "",
        f"{row['memory']:,.0f}" if "memory" in row else "",
        f"{row['plain_memory']:,.0f}" if "plain_memory" in row else "",
    ]


def _circuits(rows: Rows) -> str:
    stages = list(dict.fromkeys(key for row in rows.values() for key in row["seconds"]))
    cells = [
        [
            name,
            f"{sum(row['seconds'].values()):.0f}",
            *(f"{row['seconds'].get(stage, 0.0):.1f}" for stage in stages),
            f"{row['interventions']:,}",
            f"{row['memory']:,.0f}",
        ]
        for name, row in rows.items()
    ]
    header = ("seconds", "total", *stages, "interventions", "memory, MB")
    return markdown(header, cells)


def _trainings(rows: Rows) -> str:
    header = ("processor time of an update, ms", "old", "new", "saved", "old revision")
    cells = [
        [
            name,
            f"{row['old']:.1f}",
            f"{row['new']:.1f}",
            f"{row['saved']:.0%}",
            row["old_revision"],
        ]
        for name, row in rows.items()
    ]
    return markdown(header, cells)


def _checks(rows: Rows) -> str:
    cells = [
        [name, row["verdict"], f"{row['seconds']:.0f}"] for name, row in rows.items()
    ]
    return markdown(("check", "verdict", "seconds"), cells)


SECTIONS: dict[str, Callable[[Rows], str]] = {
    RATES: _rates,
    SHORT_RATES: _rates,
    CIRCUITS: _circuits,
    TRAININGS: _trainings,
    CHECKS: _checks,
}


def format_origin(origin: dict[str, Any]) -> str:
    """Return a sentence about the revision, versions and date of measurements."""
    cuda = f", CUDA {origin['cuda']}" if origin["cuda"] else ""
    driver = f", driver {origin['driver']}" if origin["driver"] else ""
    return (
        f"Revision {origin['revision']}, torch {origin['torch']}{cuda}{driver}, "
        f"{origin['threads']} threads of {origin['cpu']}, {origin['date']}."
    )


def format_section(name: str, rows: Rows) -> str:
    """Return the table of a section, below the origins of its measurements."""
    origins = dict.fromkeys(format_origin(row["origin"]) for row in rows.values())
    return "\n".join([*origins, "", SECTIONS[name](rows)])


def format_device(content: dict[str, Any]) -> str:
    """Return the tables of all sections of a device."""
    parts = [f"### {content['device']}"]
    for name in SECTIONS:
        if name in content["sections"]:
            table = format_section(name, content["sections"][name])
            parts.append(f"#### {name.capitalize()}\n\n{table}")
    return "\n\n".join(parts)


def update(text: str, contents: Iterable[dict[str, Any]]) -> str:
    """Return the text of README.md with the tables of all devices."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    tables = "\n\n".join(map(format_device, contents)) or NOTHING
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def stored() -> list[dict[str, Any]]:
    """Return the contents of all files in `measured/`."""
    return [files.read_json(path) for path in sorted(FOLDER.glob("*.json"))]


def main() -> None:
    """Write the tables of README.md."""
    files.write_text(README, update(README.read_text("utf-8"), stored()))


if __name__ == "__main__":
    main()
