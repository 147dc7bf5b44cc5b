"""Paths of results: patterns that format names into a path, and parsing them back.

A pattern is a text for `str.format`, and for Snakemake's wildcards: `{task}` stands for
one name, `{n}` for a size (`5`, or `5x3` for five rows), `{file}` for all that follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from string import Formatter

from mathprobe.errors import InputError, suggestion, unknown_name

RESULTS = "results/{scale}"
LINALG_NAME = "{task}/{distribution}/n{n}/{recipe}"  # a model's, below its study
TESTSETS = RESULTS + "/linalg/testsets/{task}"
TESTSET = TESTSETS + "/{distribution}/n{n}.npz"
MODEL = RESULTS + "/linalg/" + LINALG_NAME
ARITH = RESULTS + "/arith/{model}"
TABLES = RESULTS + "/tables"
TABLE = TABLES + "/{kind}_{task}_n{n}.csv"
PATTERNS = (
    TESTSET,
    MODEL + "/{file}",
    ARITH + "/{file}",
    TABLE,
    TABLES + "/{table}",
    RESULTS + "/figures/{figure}",
    RESULTS + "/notebooks/{notebook}",
    RESULTS + "/paper.pdf",
    RESULTS + "/report.html",
)
SIZE = r"[1-9][0-9]*(?:x[1-9][0-9]*)?"
MIXTURE = "+"  # between the distributions of a mixture

Known = Mapping[str, Iterable[str]]  # the names that a part may have, by the part


def in_record(pattern: str, record: str) -> str:
    """Return the pattern of what a record keeps, in its folder."""
    return pattern.replace(RESULTS, record)


def parse(path: str, known: Known) -> tuple[str, dict[str, str]]:
    """Return the pattern of a path, and its parts by their names.

    A part of which no names are known may have any.  Raises InputError, with names
    that look like it, for a part that has none of those known.
    """
    for pattern in PATTERNS:
        if found := re.fullmatch(_regex(pattern, known), path):
            return pattern, found.groupdict()
    raise InputError(f"{path}: {_fault(path.split('/'), known)}")


def _parts(pattern: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(pattern) if name]


def _regex(pattern: str, known: Known) -> str:
    return "".join(
        re.escape(text) + (f"(?P<{name}>{wildcard_regex(name, known)})" if name else "")
        for text, name, _, _ in Formatter().parse(pattern)
    )


def wildcard_regex(name: str, known: Known) -> str:
    """Return the regular expression of a part, as Snakemake's wildcards take it."""
    if name == "file":
        return ".+"
    if name == "n":
        return SIZE
    one = "|".join(map(re.escape, known[name])) if name in known else "[^/]+"
    return rf"(?:{one})(?:\{MIXTURE}(?:{one}))*" if name == "distribution" else one


def _fault(steps: list[str], known: Known) -> str:
    """Return what is wrong with the first step of a path that no pattern has."""
    patterns = [pattern.split("/") for pattern in PATTERNS]
    for place, step in enumerate(steps):
        wanted = [pattern[place] for pattern in patterns if place < len(pattern)]
        fitting = [one for one in wanted if re.fullmatch(_regex(one, known), step)]
        if not fitting:
            return _misspelt(step, dict.fromkeys(wanted), known)
        patterns = [
            pattern
            for pattern in patterns
            if place < len(pattern) and pattern[place] in fitting
        ]
    return "not a whole path; paths are " + ", ".join(map("/".join, patterns))


def _misspelt(step: str, wanted: Iterable[str], known: Known) -> str:
    """Return what may have been meant with a step, of those that were possible."""
    parts = [name for pattern in wanted for name in _parts(pattern)]
    if parts == ["n"]:
        return f"{step!r} is no size; sizes are n5 (square) and n5x3 (rows x columns)"
    kind = parts[0] if len(set(parts)) == 1 else "name"
    if kind == "distribution":
        step = next(
            distribution
            for distribution in step.split(MIXTURE)
            if distribution not in known["distribution"]
        )
    names = [name for pattern in wanted for name in _names(pattern, step, known)]
    hint = suggestion(step, names)
    return (
        f"unknown {kind} {step!r}; {hint}" if hint else unknown_name(kind, step, names)
    )


def _names(pattern: str, step: str, known: Known) -> Iterator[str]:
    """Yield what a step may be by a pattern, of the size that it has itself."""
    size = re.search(rf"_n({SIZE})", step)
    choices = {**known, "n": [size[1] if size else "5"]}
    parts = _parts(pattern)
    for names in product(*(choices.get(one, ()) for one in parts)):
        yield pattern.format(**dict(zip(parts, names, strict=True)))
