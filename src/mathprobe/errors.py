"""What is wrong with what a person gave: said in one message, never a traceback."""

from collections.abc import Iterable


class InputError(Exception):
    """Bad input; the message names the value, the place and what is allowed."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a name that is not among the known ones.

    A misspelt name is answered with those that look like it.
    """
    from difflib import get_close_matches

    names = list(known)
    close = " or ".join(map(repr, get_close_matches(name, names)))
    hint = f"did you mean {close}? " if close else ""
    return f"unknown {kind} {name!r}; {hint}known names are {', '.join(names)}"


def check_choice(name: str, known: Iterable[str], place: str, kind: str) -> None:
    """Raise InputError, which begins with the place, for a name that is not known."""
    if name not in known:
        raise InputError(f"{place}: {unknown(kind, name, known)}")
