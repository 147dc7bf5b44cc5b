"""Errors in user input, which the command line prints without a traceback."""

from collections.abc import Iterable


class InputError(Exception):
    """Invalid input; the message states the value, its place and what is allowed."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question with known names similar to `name`, or an empty text."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=2)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name: suggestions and all known names."""
    names = list(known)
    listed = f"known names are {', '.join(names)}"
    hint = suggestion(name, names)
    return f"unknown {kind} {name!r}; {f'{hint} {listed}' if hint else listed}"


def check_choice(name: str, known: Iterable[str], place: str, kind: str) -> None:
    """Raise InputError if a name is unknown.

    The message begins with `place`; `kind` is the kind of the named object.
    """
    if name not in known:
        raise InputError(f"{place}: {unknown_name(kind, name, known)}")
