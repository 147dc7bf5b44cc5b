"""LaTeX from tables: templates and their environment.

Every number passes a filter that formats it: the templates refuse a raw float.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta

from mathprobe.errors import InputError
from mathprobe.paper import arith_pivots
from mathprobe.paper.formats import FILTERS, size, span
from mathprobe.paper.naming import group, sort_distributions
from mathprobe.paper.pivots import pivot_functions
from mathprobe.paper.tables import TOLERANCE, Frame, Row, records

FUNCTIONS = (group, sort_distributions, size, span)  # that templates call


def _finalize(value: Any) -> Any:
    if value is None or isinstance(value, float | bool):
        raise InputError(f"{value!r} reaches the text: a filter must say how it prints")
    return value


def environment(folder: Path) -> jinja2.Environment:
    r"""Prepare templates whose marks LaTeX does not use: \VAR{...} and lines of %%."""
    made = jinja2.Environment(
        block_start_string=r"\BLOCK{",
        block_end_string="}",
        variable_start_string=r"\VAR{",
        variable_end_string="}",
        comment_start_string=r"\#{",
        comment_end_string="}",
        line_statement_prefix="%%",
        line_comment_prefix="%#",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        loader=jinja2.FileSystemLoader(folder),
    )
    made.filters |= FILTERS
    return made


def template_files(template: Path) -> list[Path]:
    """Return a template and those that it includes or imports from its folder."""
    made = environment(template.parent)
    names, found = [template.name], dict.fromkeys([template.name])
    while names:
        tree = made.parse((template.parent / names.pop()).read_text("utf-8"))
        more = [one for one in jinja2.meta.find_referenced_templates(tree) if one]
        names += [name for name in more if name not in found]
        found |= dict.fromkeys(more)
    return [template.with_name(name) for name in found]


def render(template: Path, tables: dict[str, Frame], facts: Row) -> str:
    """Fill a template with the pivots of tables, by the names of their kinds."""
    rows = {name: records(frame) for name, frame in tables.items()}
    known: dict[str, Any] = {"tolerance": TOLERANCE}
    known |= {function.__name__: function for function in FUNCTIONS}
    for every in (pivot_functions(), arith_pivots.PIVOTS):
        known |= {name: partial(view, tables, facts) for name, view in every.items()}
    page = environment(template.parent).get_template(template.name)
    return page.render(tables=rows, **known, **facts)
