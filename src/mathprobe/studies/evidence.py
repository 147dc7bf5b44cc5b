"""Evidence on where a paper, its code and its notebook disagree (Charton 2022).

Every function holds printed numbers against each other, or against samples that need
no network.  B: examples, n: size.  Percentages are percentages, as they are printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from mathprobe.intervals import quantile_ranks, wilson
from mathprobe.linalg import laws, verifiers
from mathprobe.linalg.laws import BOUND, COEFFICIENTS, FACTOR, LAWS, WIGNER
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.registry import Registry
from mathprobe.seeds import stream
from mathprobe.spec import Conditions, Evidence
from mathprobe.studies import ceilings
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.conditions import conditions

Row = dict[str, Any]
Source = Callable[[Row, Evidence], Iterator[Row]]

EVIDENCE = Registry("evidence")
COLUMNS = ("evidence", "quantity", "unit", "printed", "value", "low", "high")
TOLERANCE = 0.05  # of the paper's tables
ACCURACY = "error", "all", None, "below", TOLERANCE  # as sections 2 and 3 are kept
PERCENT, MILLIONS = "%", "million"


def row(
    quantity: str,
    value: float | None,
    printed: float | None = None,
    unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Row:
    """Give the columns of a number that was computed, beside a printed one."""
    return {
        **{"quantity": quantity, "unit": unit, "printed": printed},
        **{"value": value, "low": low, "high": high},
    }


def share(quantity: str, hits: Tensor, printed: float | None = None) -> Row:
    """Give the share of hits [B] in percent, with its 95 % interval."""
    count, total = int(hits.sum()), len(hits)
    low, high = (100 * end for end in wilson(count, total))
    return row(quantity, 100 * count / total, printed, PERCENT, low, high)


def table(published: Row, spec: Evidence) -> Iterator[Row]:
    """Gather all evidence, named by what it is on."""
    for name in EVIDENCE:
        for one in EVIDENCE[name](published, spec):
            yield {"evidence": name, **one}


def _rng(use: str) -> torch.Generator:
    return stream(STUDY, "evidence", use)


# Section 4: laws.


# The laws whose eigenvalues are made from coefficients, not drawn for themselves.
FROM_COEFFICIENTS = ("semicircle", "abs_semicircle", "marchenko_pastur")
SHARPER = 10  # times as many matrices as the printed quantiles are from


@EVIDENCE.add("coefficients")
def coefficients(published: Row, spec: Evidence) -> Iterator[Row]:
    """Hold Table 4 against condition numbers under both readings of coefficients.

    The intervals are where quantiles of as many matrices as were printed of lie.
    """
    for reading in COEFFICIENTS:
        rows = []
        for law in FROM_COEFFICIENTS:
            settings = {law: {"coefficients": reading}}
            count = SHARPER * spec.conditions.matrices
            sample = Conditions(published["condition_numbers"]["n"], count, settings)
            rows += _quantiles(published, spec, law, conditions(sample, law)[0])
        inside = [one["low"] <= one["printed"] <= one["high"] for one in rows]
        text = f"{reading}: quantiles of Table 4 in their intervals, of {len(inside)}"
        yield row(text, sum(inside))
        for one in rows[:: len(published["condition_numbers"]["quantiles"])]:
            yield {**one, "quantity": f"{reading}: {one['quantity']}"}


def _quantiles(
    published: Row, spec: Evidence, law: str, sample: Tensor
) -> Iterator[Row]:
    printed, count = published["condition_numbers"], spec.conditions.matrices
    for quantile, value in zip(printed["quantiles"], printed["rows"][law], strict=True):
        ends = (rank / count for rank in quantile_ranks(quantile, count))
        low, high = (float(sample.quantile(end)) for end in ends)
        text = f"{100 * quantile:g} % of {published['labels'][law]} have less than"
        yield row(text, float(sample.quantile(quantile)), value, low=low, high=high)


@EVIDENCE.add("marchenko_factor")
def marchenko_factor(published: Row, spec: Evidence) -> Iterator[Row]:
    """Compare the two readings of the deviation of the factor N of N^T N."""
    n = published["condition_numbers"]["n"]
    readings = {"text": FACTOR.deviation, "code": math.sqrt(BOUND) / math.sqrt(3.0)}
    for reading, deviation in readings.items():
        yield row(f"deviation of N, {reading}", deviation)
        mean = n * deviation**2
        yield row(f"mean eigenvalue at n = {n}, {reading}", mean)
    ratio = (readings["text"] / readings["code"]) ** 2
    yield row("ratio of the eigenvalues, text over code", ratio)
    yield row("root mean square eigenvalue of the other laws", WIGNER.deviation(n))


@EVIDENCE.add("orientation")
def orientation(published: Row, spec: Evidence) -> Iterator[Row]:
    """Compare coefficients of matrices that are rotated by H and by its transpose."""
    n, count = published["condition_numbers"]["n"], spec.conditions.matrices
    rng = _rng("orientation")
    vectors = torch.linalg.eigh(WIGNER.draw(rng, count, n))[1]
    values = torch.linalg.eigvalsh(LAWS["laplace"](rng, count, n))
    values = values.gather(1, torch.rand(values.shape, generator=rng).argsort(1))
    for reading, turned in {"text": vectors, "code": vectors.mT}.items():
        matrix = laws.with_spectrum(turned, values)
        on = matrix.diagonal(dim1=1, dim2=2)
        off = matrix[:, *torch.tril_indices(n, n, -1)]
        for where, part in {"on": on, "off": off}.items():
            text = (
                f"deviation of coefficients {where} the diagonal (Laplace), {reading}"
            )
            yield row(text, float(part.std()))


@EVIDENCE.add("directions")
def directions(published: Row, spec: Evidence) -> Iterator[Row]:
    """Hold eigenvectors of W against uniform directions, by their fourth moment."""
    n, count = published["condition_numbers"]["n"], spec.conditions.matrices
    yield row("mean fourth power of a coefficient, uniform", 3 / (n * (n + 2)))
    for reading in COEFFICIENTS:
        base = laws.Wigner(coefficients=reading)
        drawn = base.draw(_rng("directions"), count, n)
        fourth = torch.linalg.eigh(drawn)[1].pow(4).mean((1, 2))  # [B]
        half = 1.96 * float(fourth.std()) / math.sqrt(count)
        mean = float(fourth.mean())
        text = f"the same of eigenvectors of W, {reading} coefficients"
        yield row(text, mean, low=mean - half, high=mean + half)


@EVIDENCE.add("positive_spectra")
def positive_spectra(published: Row, spec: Evidence) -> Iterator[Row]:
    """Ask how much of a symmetric law a model of positive spectra may get right."""
    said = published["in_text"]
    for size, printed in {"n5": None, **said["all_positive"]}.items():
        n = int(size[1:])
        text = f"2⁻ⁿ, all eigenvalues positive, n = {n}"
        yield row(text, 100 * 0.5**n, printed, PERCENT)
    rows = published["out_of_distribution"]["eigenvalues"]["n5"]
    places = [
        published["columns"].index(law) for law in said["positive_abroad"]["tests"]
    ]
    positive = [law for law in rows if laws.is_positive(law)]
    cells = [rows[law][place] for law, place in product(positive, places)]
    for end, printed in zip((min, max), said["positive_abroad"]["range"], strict=True):
        text = f"Table 1, positive models on {_listed(published, said)}"
        yield row(f"{text}: {end.__name__}imum", end(cells), printed, PERCENT)
    yield from _absolute_values(published, spec)


def _listed(published: Row, said: Row) -> str:
    tests = said["positive_abroad"]["tests"]
    return ", ".join(published["labels"][law] for law in tests)


def _absolute_values(published: Row, spec: Evidence) -> Iterator[Row]:
    """Score |λ| as an answer: what a model that knows no sign would get right."""
    n = published["condition_numbers"]["n"]
    for law in ("semicircle", *published["in_text"]["positive_abroad"]["tests"]):
        matrix = LAWS[law](_rng("positive_spectra"), spec.conditions.matrices, n)
        truth = TASKS["eigenvalues"].solve(matrix)
        guess = truth.abs().sort(dim=1, descending=True).values
        name = published["labels"][law]
        yield share(f"{name}: all eigenvalues positive", (truth > 0).all(1)[:, 0])
        error = relative_error("eigenvalues", matrix, truth, guess)
        yield share(f"{name}: |λ| right within 5 %", error < TOLERANCE)


# Section 4: the text against the tables.


def _cell(printed: Row, law: str, column: str) -> float | None:
    return printed["rows"][law][printed["columns"].index(column)]


@EVIDENCE.add("positive_model")
def positive_model(published: Row, spec: Evidence) -> Iterator[Row]:
    """Find the model that the text calls positive among those of Table 6."""
    speeds, said = published["learning_speed"], published["in_text"]["learning_speed"]
    printed = _cell(said["eigenvalues"]["n5"], "positive", "positive")
    for law in ("abs_semicircle", "abs_laplace"):
        value = _cell(speeds["eigenvalues"]["n5"], law, "abs_semicircle")
        yield row(f"Table 6, {published['labels'][law]}", value, printed, MILLIONS)


@EVIDENCE.add("saving")
def saving(published: Row, spec: Evidence) -> Iterator[Row]:
    """Compute how many examples fewer the pairs of Table 6 need."""
    speeds, said = published["learning_speed"], published["in_text"]["saving"]
    table6, labels = speeds["eigenvalues"]["n5"], published["labels"]
    pairs = [
        (said["law"], said["than"], "abs_semicircle", said["percent"]),
        ("laplace", "semicircle", "semicircle", None),
        ("gaussian", "semicircle", "semicircle", None),
    ]
    for law, than, test, printed in pairs:
        fewer = 1 - _cell(table6, law, test) / _cell(table6, than, test)
        text = f"fewer examples, {labels[law]} than {labels[than]}"
        yield row(text, 100 * fewer, printed, PERCENT)


@EVIDENCE.add("target_accuracy")
def target_accuracy(published: Row, spec: Evidence) -> Iterator[Row]:
    """List the accuracies that Table 7 is said to be about."""
    used = published["learning_speed"]["eigenvectors"]["n5"]["accuracy"]
    for where, printed in published["in_text"]["target_accuracies"].items():
        yield row(f"target taken here, and that of the {where}", used, printed, PERCENT)


@EVIDENCE.add("in_text")
def in_text(published: Row, spec: Evidence) -> Iterator[Row]:
    """Hold the accuracies in the text against the cells of the tables."""
    said, tables = published["in_text"], published["out_of_distribution"]
    labels, columns = published["labels"], published["columns"]
    home = columns.index("semicircle")
    for law, printed in said["accuracies"].items():
        value = tables["eigenvalues"]["n8"][law][home]
        yield row(f"Table 2, {labels[law]} on Semi-circle", value, printed, PERCENT)
    vectors = tables["eigenvectors"]["n5"]
    for law, printed in said["best_eigenvectors"].items():
        best = max(cells[columns.index(law)] for cells in vectors.values())
        yield row(f"Table 3, best on {labels[law]}", best, printed, PERCENT)
    before = said["best_before"]
    text = f"earlier paper, n = {before['n']}, {before['millions']} million examples"
    yield row(text, None, before["accuracy"], PERCENT)
    typical = said["typical_eigenvectors"]
    cells = [value for law in typical["laws"] for value in vectors[law]]
    for end in (min, max):
        text = f"Table 3, {end.__name__}imum of the Gaussian and Laplace models"
        yield row(text, end(cells), typical["accuracy"], PERCENT)


@EVIDENCE.add("counts_in_text")
def counts_in_text(published: Row, spec: Evidence) -> Iterator[Row]:
    """Hold numbers of examples in the text against the tables, where they are."""
    speeds, labels = published["learning_speed"], published["labels"]
    for task, sizes in published["in_text"]["learning_speed"].items():
        for size, said in sizes.items():
            known = speeds[task].get(size, {"rows": {}, "columns": []})
            for law, column in product(said["rows"], said["columns"]):
                printed = _cell(said, law, column)
                there = {"positive": "abs_semicircle"}.get(column, column)
                if printed is None:
                    continue
                value = _cell(known, law, there) if law in known["rows"] else None
                name = labels.get(law, law)
                text = f"{task}, n = {size[1:]}: {name} on {labels[there]}"
                yield row(text, value, printed, MILLIONS)


@EVIDENCE.add("steps")
def steps(published: Row, spec: Evidence) -> Iterator[Row]:
    """Count the published numbers of examples that are whole epochs of the code."""
    speeds, epoch = published["learning_speed"], spec.epoch / 1e6
    counts = [
        value
        for sizes in speeds.values()
        for printed in sizes.values()
        for values in printed["rows"].values()
        for value in values
        if value is not None
    ]
    whole = [abs(count / epoch - round(count / epoch)) < 1e-6 for count in counts]
    text = f"printed counts that are multiples of {epoch:g} million, of {len(whole)}"
    yield row(text, sum(whole))


# Sections 2 and 3.


def _said(published: Row, table: str, task: str, source: str = "text") -> Row:
    """Give what sections 2 and 3 print on a task, by all but its last column."""
    (sizes,) = published[table][source][task].values()
    return {tuple(line[:-1]): line[-1] for line in sizes["n5"]["base"]}


@EVIDENCE.add("rule_arithmetic")
def rule_arithmetic(published: Row, spec: Evidence) -> Iterator[Row]:
    """Combine the rates on successes and failures to the rate of the whole rule."""
    rules = {"eigenvectors": "vectors_condition", "inverse": "matrix_condition"}
    for task, name in rules.items():
        right = _said(published, "failures", task)[ACCURACY]
        said = _said(published, "verifiers", task)
        rule = name, VERIFIERS[name].threshold
        below, above = (
            said[*rule, rate] for rate in ("successes_below", "failures_above")
        )
        whole = (right * below + (100 - right) * above) / 100
        text = f"{task}: {right:g} % × {below:g} % + the rest × {above:g} %"
        yield row(text, whole, said[*rule, "right"], PERCENT)
    inverse = _said(published, "failures", "inverse")
    right = inverse[ACCURACY]
    close = inverse["inverse_error", "all", None, "below", 0.05]
    printed = inverse["inverse_error", "failure", 0.05, "below", 0.05]
    text = f"failures close to the inverse: ({close:g} − {right:g}) / (100 − {right:g})"
    yield row(text, 100 * (close - right) / (100 - right), printed, PERCENT)


@EVIDENCE.add("mantissa")
def mantissa(published: Row, spec: Evidence) -> Iterator[Row]:
    """Explain the mean condition number of failures by a single huge one.

    One value x among m that are next to nothing has mean x / m and, over the m, the
    deviation x sqrt(m - 1) / m: their ratio tells m, and then x.
    """
    text = _said(published, "failures", "eigenvectors")
    notebook = _said(published, "failures", "eigenvectors", "notebook")
    printed = text["vectors_condition", "failure", 0.05, "mean", None]
    for bound in (0.05, 0.01):
        mean, deviation = (
            notebook["vectors_condition", "failure", bound, statistic, None]
            for statistic in ("mean", "deviation")
        )
        wrong = 100 - notebook["error", "all", None, "below", bound]
        if bound == TOLERANCE:
            factor = mean / 10 ** math.floor(math.log10(mean))
            yield row("mean of the failures, notebook", mean, printed)
            yield row("its decimal mantissa", factor, printed)
        cases = 1 + (deviation / mean) ** 2
        at = f"at {100 * bound:g} %"
        yield row(f"failures {at}, if one value makes mean and deviation", cases)
        yield row(f"that value, {at}", mean * cases)
        yield row(
            f"all examples, from the {wrong:.4g} % that fail {at}", cases / wrong * 100
        )


@EVIDENCE.add("angles")
def angles(published: Row, spec: Evidence) -> Iterator[Row]:
    """Show that the text prints, as angles, what the notebook finds for rows alone."""
    text = _said(published, "failures", "eigenvectors")
    notebook = _said(published, "failures", "eigenvectors", "notebook")
    for bound in (0.1, 0.05):
        printed = text["row_angle", "all", None, "below", bound]
        value = notebook["row_cosine", "all", None, "below", bound]
        yield row(f"notebook, cosines of rows below {bound:g}", value, printed, PERCENT)


def _inversions(spec: Evidence) -> tuple[Tensor, Tensor, Tensor]:
    """Give rounded matrices, the labels and the exact answers: [B, n, n] each."""
    codecs, (matrix, answer) = Codecs(spec.inverse), ceilings.drawn(spec.inverse)
    seen, label = codecs.source.rounded(matrix), codecs.target.rounded(answer)
    return seen, label, codecs.oracle(matrix)


@EVIDENCE.add("product_order")
def product_order(published: Row, spec: Evidence) -> Iterator[Row]:
    """Score labels by M P − I and by P M − I, whose transpose has the same norm."""
    seen, label, _ = _inversions(spec)
    readings = {"code, M P − I": (seen, label), "text, P M − I": (seen.mT, label.mT)}
    for reading, (matrix, made) in readings.items():
        error = relative_error("inverse", matrix, made, made)
        yield share(f"training labels: right by {reading}", error < TOLERANCE)


@EVIDENCE.add("exact_tokens")
def exact_tokens(published: Row, spec: Evidence) -> Iterator[Row]:
    """Count answers that equal their label among those that are right, and besides."""
    seen, label, best = _inversions(spec)
    equal = (best == label).flatten(1).all(1)
    right = relative_error("inverse", seen, label, best) < TOLERANCE
    yield share("exact answers: right by their error", right)
    yield share("exact answers: right, or equal to the label", right | equal)
    missed = relative_error("inverse", seen, label, label) >= TOLERANCE
    yield share("labels that miss the tolerance themselves", missed)


@EVIDENCE.add("inverse_ceiling")
def inverse_ceiling(published: Row, spec: Evidence) -> Iterator[Row]:
    """Ask of exact inverses what section 3 says of a model's."""
    inverse = _said(published, "failures", "inverse")
    rates = _said(published, "verifiers", "inverse")
    seen, label, best = _inversions(spec)
    accuracy = inverse[ACCURACY]
    for who, made in {"exact answers": best, "training labels": label}.items():
        correct = relative_error("inverse", seen, label, made) < TOLERANCE
        yield share(f"{who}: right", correct, accuracy)
        rule = VERIFIERS["matrix_condition"]
        found = verifiers.rates(rule.predict(seen, made), correct)
        for statistic, measured in found.items():
            printed = rates["matrix_condition", rule.threshold, statistic]
            text = f"{who}: condition number, {statistic.replace('_', ' ')}"
            ends = {end: 100 * measured[end] for end in ("low", "high")}
            yield row(text, 100 * measured["value"], printed, PERCENT, **ends)
