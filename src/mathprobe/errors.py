"""What is wrong with what a person gave: said in one message, never a traceback."""

from collections.abc import Iterable


class InputError(Exception):
    """Bad input; the message names the value, the place and what is allowed."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a question for the known names that look like a misspelt one, if any."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=2)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a name that is not among the known ones, with all."""
    names = list(known)
    listed = f"known names are {', '.join(names)}"
    hint = suggestion(name, names)
    return f"unknown {kind} {name!r}; {f'{hint} {listed}' if hint else listed}"


def check_choice(name: str, known: Iterable[str], place: str, kind: str) -> None:
    """Raise InputError, which begins with the place, for a name that is not known."""
    if name not in known:
        raise InputError(f"{place}: {unknown_name(kind, name, known)}")
