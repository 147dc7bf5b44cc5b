"""LaTeX from tables and templates, which refuse numbers that no filter formats."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta

from mathprobe.errors import InputError
from mathprobe.paper import arith_pivots, pivots
from mathprobe.paper.formats import FILTERS, size, span
from mathprobe.paper.naming import group, sort_distributions
from mathprobe.paper.tables import KINDS, TOLERANCE, Row, Tables, measured, records

FUNCTIONS = (group, sort_distributions, size, span)  # that templates call
PIVOTS = (  # functions of tables and context that templates call
    *(pivots.oracle_accuracies, pivots.oracle_comparisons, pivots.runs, pivots.costs),
    *(pivots.summaries, pivots.trends, pivots.setting_differences),
    *(arith_pivots.rates, arith_pivots.decoders, arith_pivots.decoder_names),
    *(arith_pivots.by_class, arith_pivots.maps, arith_pivots.subtasks),
    arith_pivots.reuse,
)


def _finalize(value: Any) -> Any:
    if value is None or isinstance(value, float | bool):
        raise InputError(f"{value!r} in a template is not formatted: apply a filter")
    return value


def environment(folder: Path) -> jinja2.Environment:
    r"""Return a Jinja environment with delimiters for LaTeX: \VAR{...}, lines of %%."""
    environment = jinja2.Environment(
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
    environment.filters |= FILTERS
    return environment


def template_files(template: Path) -> list[Path]:
    """Return a template and the templates that it includes or imports."""
    parser = environment(template.parent)
    found = [template.name]
    for name in found:  # grows
        tree = parser.parse((template.parent / name).read_text("utf-8"))
        names = filter(None, jinja2.meta.find_referenced_templates(tree))
        found += [name for name in names if name not in found]
    return [template.with_name(name) for name in found]


def pivot_functions() -> dict[str, Callable[[Tables, Row], Any]]:
    """Return functions of tables and context: one per kind of table, and PIVOTS."""
    by_kind = {kind: partial(pivots.pivots, kind) for kind in KINDS}
    return {**by_kind, **{function.__name__: function for function in PIVOTS}}


def _with_results(tables: Tables, arith: Row) -> Row:
    """Return facts about decoders with those that have results in the tables.

    A table of wrong answers has published numbers of other decoders, too.
    """
    known: set[str] = set()
    for rows in tables.values():
        if "model" in rows:
            own = rows.dropna(subset="fails") if "fails" in rows else rows
            known.update(own["model"])
    models = [one for one in arith["models"] if one["name"] in known]
    return {**arith, "models": models}


def render(template: Path, tables: Tables, context: Row) -> str:
    """Fill a template with tidy tables by kind, functions for pivots, and `context`.

    Models of a record without results are left out.
    """
    tables = {name: measured(frame) for name, frame in tables.items()}
    if context["recorded"]:
        context = {**context, "arith": _with_results(tables, context["arith"])}
    rows = {name: records(frame) for name, frame in tables.items()}
    functions: dict[str, Any] = {function.__name__: function for function in FUNCTIONS}
    for name, function in pivot_functions().items():
        functions[name] = partial(function, tables, context)
    page = environment(template.parent).get_template(template.name)
    return page.render(tables=rows, tolerance=TOLERANCE, **functions, **context)
