"""The command `arith_draw`, on which only commands that draw depend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mathprobe import files
from mathprobe.cli.app import WORKFLOW, Out, Template, command


@command(WORKFLOW)
def arith_draw(
    folder: Path,
    out: Out,
    /,
    *,
    name: str,
    digits: int,
    template: Template,
    report: str | None = None,
) -> None:
    """Write the HTML page of a decoder: its maps, and the facts about each node.

    Parameters
    ----------
    folder
        Output folder of `arith_map`.
    name
        Name of the decoder.
    digits
        Number of digits per operand.
    report
        Link to the report, relative to the page.
    """
    import pandas as pd

    from mathprobe.interp.facts import Facts
    from mathprobe.paper import quanta

    facts = Facts.load(folder / "nodes.csv")
    tables: dict[str, list[Any]] = {
        table: pd.read_csv(folder / f"{table}.csv").to_dict("records")
        for table in ("positions", "controls", "claims")
    }
    page = quanta.page(template, name, digits, facts, report, **tables)
    files.write_text(out, page)
