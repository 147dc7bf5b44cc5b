"""Published numbers of the first study, from the CSV files in paper/published/.

Source: Charton 2022, arXiv 2211.00170.  The files have the printed units.  Columns in
the units of our tables are added: `published`, and `notebook` for its stored output.
"""

from collections.abc import Iterable
from pathlib import Path

from mathprobe.catalog import parse_size
from mathprobe.paper.naming import Labels
from mathprobe.paper.tables import COUNT, Frame, Tables, read

PERCENT = ("below", "right", "successes_below", "failures_above")  # statistics


def read_all(paths: Iterable[Path | str]) -> Tables:
    """Read files of published numbers, by the names of the files."""
    tables = {Path(path).stem: read(path) for path in paths}
    return tables | {
        name: UNITS[name](tables[name]) for name in tables if name in UNITS
    }


def read_folder(folder: Path) -> Tables:
    """Read all published numbers of the first study from their folder."""
    return read_all(folder / f"{name}.csv" for name in FILES)


def _statistics(printed: Frame) -> Frame:
    """Convert percentages to shares, and shares above a bound to shares below it."""
    above = printed["statistic"] == "above"
    below = printed["statistic"].mask(above, "below")
    text = printed["text"].mask(above, 100 - printed["text"])
    printed = printed.assign(statistic=below, text=text)
    unit = below.isin(PERCENT).map({True: 100.0, False: 1.0})
    for column, added in (("text", "published"), ("stored", "notebook")):
        if column in printed:
            printed[added] = printed[column] / unit
    return printed


UNITS = {
    "accuracy": lambda rows: rows.assign(published=rows["percent"] / 100),
    "condition_numbers": lambda rows: rows.assign(published=rows["value"]),
    "failures": _statistics,
    "learning_speed": lambda rows: rows.assign(
        published=(1e6 * rows["millions"]).round().astype(COUNT)
    ),
    "verifiers": _statistics,
}
FILES = (*UNITS, "in_text", "labels")


def labels(published: Tables) -> Labels:
    """Return the paper's labels of distributions."""
    return Labels(published["labels"].set_index("distribution")["label"])


def nearest_size(printed: Frame, task: str, n: int | str) -> Frame:
    """Return the rows of a task at the size nearest to n; a rectangle has none."""
    rows, columns = parse_size(n)
    if printed.empty:
        return printed
    own = printed[printed["task"] == task] if rows == columns else printed.iloc[:0]
    sizes = sorted(own["n"].unique(), key=lambda other: (abs(other - rows), other))
    return own[own["n"].isin(sizes[:1])]


def table_number(printed: Frame, task: str, n: int | str | None) -> int | None:
    """Return the number of the paper's table of a task and size, if there is one."""
    if printed.empty or "table" not in printed:
        return None
    known = printed.loc[(printed["task"] == task) & (printed["n"] == n), "table"]
    return int(known.iloc[0]) if known.notna().any() else None
