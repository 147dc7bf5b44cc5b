"""Path patterns of results, and the parser of such paths.

A pattern is a format string whose fields are wildcards of Snakemake.  `{task}` is one
name, `{n}` a size (`5`, or `5x3` for five rows and three columns), and `{file}` the
rest of the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from string import Formatter

from mathprobe.errors import InputError, suggestion, unknown_name

RESULTS = "results/{scale}"
LINALG_NAME = "{task}/{distribution}/n{n}/{recipe}"  # of a model of the first study
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
RUN = "run.json"  # of a finished training
PROGRESS = "progress.json"  # of a training, in `state/`
STORED_CHECKPOINTS = 2  # in `state/`
UNFINISHED = "unfinished.json"  # run.json so far, in `state/` or in a record
SIZE = r"[1-9][0-9]*(?:x[1-9][0-9]*)?"
MIXTURE = "+"  # between the distributions of a mixture

Known = Mapping[str, Iterable[str]]  # the values that a wildcard may have


def in_record(pattern: str, record: str) -> str:
    """Return the pattern of the same results in the folder of a record."""
    return pattern.replace(RESULTS, record)


def run_file(folder: Path) -> Path:
    """Return the path of run.json, or of unfinished.json if that exists instead."""
    unfinished = folder / UNFINISHED
    return unfinished if unfinished.exists() else folder / RUN


def parse(path: str, known: Known) -> tuple[str, dict[str, str]]:
    """Return the pattern that matches a path, and the values of its wildcards.

    A wildcard that is not in `known` may have any value.  Raises InputError, with
    similar names, if no pattern matches.
    """
    for pattern in PATTERNS:
        if match := re.fullmatch(_regex(pattern, known), path):
            return pattern, match.groupdict()
    raise InputError(f"{path}: {_error(path.split('/'), known)}")


def _wildcards(pattern: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(pattern) if name]


def _regex(pattern: str, known: Known) -> str:
    return "".join(
        re.escape(text) + (f"(?P<{name}>{wildcard_regex(name, known)})" if name else "")
        for text, name, _, _ in Formatter().parse(pattern)
    )


def wildcard_regex(name: str, known: Known) -> str:
    """Return the regular expression of a wildcard, for Snakemake's constraints."""
    if name == "file":
        return ".+"
    if name == "n":
        return SIZE
    one = "|".join(map(re.escape, known[name])) if name in known else "[^/]+"
    return rf"(?:{one})(?:\{MIXTURE}(?:{one}))*" if name == "distribution" else one


def _error(parts: list[str], known: Known) -> str:
    """Return a message about the first part of a path that no pattern matches."""
    patterns = [pattern.split("/") for pattern in PATTERNS]
    for depth, part in enumerate(parts):
        expected = [pattern[depth] for pattern in patterns if depth < len(pattern)]
        matching = [one for one in expected if re.fullmatch(_regex(one, known), part)]
        if not matching:
            return _unknown_part(part, dict.fromkeys(expected), known)
        patterns = [
            pattern
            for pattern in patterns
            if depth < len(pattern) and pattern[depth] in matching
        ]
    return "incomplete path; complete paths are " + ", ".join(map("/".join, patterns))


def _unknown_part(part: str, expected: Iterable[str], known: Known) -> str:
    """Return a message about a part that matches none of the expected patterns."""
    wildcards = [name for pattern in expected for name in _wildcards(pattern)]
    if wildcards == ["n"]:
        return f"invalid size {part!r}; write n5 (square) or n5x3 (rows x columns)"
    kind = wildcards[0] if len(set(wildcards)) == 1 else "name"
    if kind == "distribution":
        part = next(one for one in part.split(MIXTURE) if one not in known[kind])
    names = [name for pattern in expected for name in _names(pattern, part, known)]
    hint = suggestion(part, names)
    if hint:
        return f"unknown {kind} {part!r}; {hint}"
    return unknown_name(kind, part, names)


def _names(pattern: str, part: str, known: Known) -> Iterator[str]:
    """Yield all names that match a pattern and have the size of `part`, if any."""
    size = re.search(rf"_n({SIZE})", part)
    choices = {**known, "n": [size[1] if size else "5"]}
    wildcards = _wildcards(pattern)
    for names in product(*(choices.get(one, ()) for one in wildcards)):
        yield pattern.format(**dict(zip(wildcards, names, strict=True)))
