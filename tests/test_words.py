"""The text of the project uses the terms of the field and plain sentences.

`docs/development.md` has a glossary of the terms that are used instead.
"""

import re
import subprocess
from pathlib import Path

import pytest

# Files that quote others or that no person writes.
QUOTED = {"envs/requirements.lock", "paper/references.bib", "tests/test_words.py"}

# Proper names, titles, and names in results that stay as they are.
ALLOWED = [
    r"semicircle law",
    r"Marchenko-{1,2}Pastur law",
    r"What is my math transformer doing",
    r"\$HOME|HOME=|home director|/home/",
]

RETIRED = {
    "distribution": r"\blaws?\b|(?<=_)laws?\b|\blaws?(?=_)|\bLAWS\b",
    "in-distribution": r"\bhome\b|(?<=_)home\b|\babroad\b",
    "oracle accuracy": r"\bceilings?\b",
    "catalog": r"\bbooks\b",
    "TrainingStatus": r"\b[Ss]tandings?\b",
    "synthetic": r"\bmade[ _-]up\b",
    "hook point": r"\b[Tt]aps?\b",
    "variable length": r"\bragged\b",
    "missing": r"\babsent\b",
    "encode, output, report": r"\btell(s|ing)?\b|\b[Tt]old\b|\bsay(s|ing)?\b|\bsaid\b",
    "validate": r"\bheld (against|equal|to be)\b|\bholds? .{1,40} against\b",
    "override": r"\blaid over\b|\blies? over\b|\blaying\b",
    "base, source": r"\bthe other one says\b|\bclean and other\b",
    "rank 0": r"\bmourn|\bfollowers?\b",
    "optimizer": r"\bDescent\b|\bLearner\b",
    "Return": r'"""(Give|Tell|Say|Hold|Let|Have|Put|Bring|Ask|Refuse)\b',
    "a sentence with a subject": r'(^|"""|[.:;]\s+|# )What\b(?![^.]*\?)',
    "if": r'"""(Where|Who|How)\b',
    "the machine": r"\bat the door\b|\bknows? no\b|\bhouse has floors\b",
    "bitwise identical": r"\bthe same bits\b|\bto the (last )?bit\b",
    "is stored": r"\bstands? (beside|in|on|between|here)\b|\bstood\b",
    "analyse": r"\btaken apart\b|\blooked for\b|\blooks into\b",
}


def texts() -> list[tuple[str, int, str]]:
    """Return (path, number, line) of every tracked line of text."""
    text_files = ["git", "grep", "-I", "--files-with-matches", "-e", ""]
    names = subprocess.run(
        text_files, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    paths = [Path(name) for name in names if name not in QUOTED]
    return [
        (str(path), number, line)
        for path in paths
        if not path.is_symlink()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
    ]


def found(pattern: str, lines: list[tuple[str, int, str]]) -> list[str]:
    """Return the places of a pattern, except for allowed texts."""
    search, allowed = re.compile(pattern), re.compile("|".join(ALLOWED))
    return [
        f"{path}:{number}: {line.strip()}"
        for path, number, line in lines
        if search.search(allowed.sub("", line))
    ]


LINES = texts()


@pytest.mark.parametrize("term", RETIRED)
def test_retired_terms_do_not_occur(term):
    places = found(RETIRED[term], LINES)
    assert not places, f"write {term!r} instead:\n" + "\n".join(places)


def test_retired_terms_are_recognised():
    lines = [("a", 1, "the law of eigenvalues"), ("b", 1, "Wigner's semicircle law")]
    assert found(RETIRED["distribution"], lines) == ["a:1: the law of eigenvalues"]
