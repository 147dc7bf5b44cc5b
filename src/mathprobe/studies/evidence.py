"""Evidence on where a paper, its code and its notebook disagree (Charton 2022).

Every function holds printed numbers against each other, or against samples that need
no network.  `published` has the tidy tables of printed numbers by their names.  B:
examples, n: size.  Percentages are percentages, as they are printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mathprobe.intervals import quantile_ranks, wilson
from mathprobe.linalg import distributions, verifiers
from mathprobe.linalg.distributions import (
    BOUND,
    COEFFICIENTS,
    DISTRIBUTIONS,
    FACTOR,
    WIGNER,
)
from mathprobe.linalg.scores import relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.registry import Registry
from mathprobe.seeds import rng_for
from mathprobe.spec import ConditionNumbers, DistributionSettings, Evidence
from mathprobe.studies import oracle_accuracy
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.conditions import sample_condition_numbers

Row = dict[str, Any]
Published = dict[str, pd.DataFrame]
Source = Callable[[Published, Evidence], Iterator[Row]]

EVIDENCE: Registry[Source] = Registry("evidence")
COLUMNS = ("evidence", "quantity", "unit", "printed", "value", "low", "high")
TOLERANCE = 0.05  # of the paper's tables
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


def percentage(quantity: str, hits: Tensor, printed: float | None = None) -> Row:
    """Give the share of hits [B] in percent, with its 95 % interval."""
    count, total = int(hits.sum()), len(hits)
    low, high = (100 * end for end in wilson(count, total))
    return row(quantity, 100 * count / total, printed, PERCENT, low, high)


def table(published: Published, spec: Evidence) -> Iterator[Row]:
    """Gather all evidence, named by what it is on."""
    for name in EVIDENCE:
        for one in EVIDENCE[name](published, spec):
            yield {"evidence": name, **one}


def _rng(use: str) -> torch.Generator:
    return rng_for(STUDY, "evidence", use)


def printed_of(printed: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the rows that have these values."""
    asked = {column: [value] for column, value in where.items()}
    return printed[printed[[*where]].isin(asked).all(axis=1)]


def the(column: str, printed: pd.DataFrame, **where: Any) -> float:
    """Return the number in the one row that has these values."""
    return float(printed_of(printed, **where)[column].dropna().item())


def each(printed: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows, whose columns are attributes."""
    yield from printed.itertuples(index=False)


def _said(published: Published, statement: str) -> pd.DataFrame:
    """Return the rows of a statement of section 4."""
    return printed_of(published["in_text"], statement=statement)


def _labels(published: Published) -> dict[str, str]:
    return dict(published["labels"].itertuples(index=False))


# Section 4: distributions.


# The distributions whose eigenvalues are made from coefficients, not drawn for themselves.
FROM_COEFFICIENTS = ("semicircle", "abs_semicircle", "marchenko_pastur")
SHARPER = 10  # times as many matrices as the printed quantiles are from


@EVIDENCE.add("coefficients")
def coefficients(published: Published, spec: Evidence) -> Iterator[Row]:
    """Hold Table 4 against condition numbers under both readings of coefficients.

    The intervals are where quantiles of as many matrices as were printed of lie.
    """
    n, count = _sample(published), SHARPER * spec.condition_numbers.matrices
    for reading in COEFFICIENTS:
        rows: list[Row] = []
        first: list[Row] = []
        for distribution in FROM_COEFFICIENTS:
            settings: DistributionSettings = {distribution: {"coefficients": reading}}
            sample = sample_condition_numbers(
                ConditionNumbers(n, count, settings), distribution
            )[0]
            own = list(_quantiles(published, spec, distribution, sample))
            rows += own
            first.append(own[0])
        inside = [one["low"] <= one["printed"] <= one["high"] for one in rows]
        text = f"{reading}: quantiles of Table 4 in their intervals, of {len(inside)}"
        yield row(text, sum(inside))
        for one in first:
            yield {**one, "quantity": f"{reading}: {one['quantity']}"}


def _sample(published: Published) -> int:
    """Return the size of the matrices of Table 4."""
    return int(published["condition_numbers"]["n"].iloc[0])


def _quantiles(
    published: Published, spec: Evidence, distribution: str, sample: Tensor
) -> Iterator[Row]:
    count, name = spec.condition_numbers.matrices, _labels(published)[distribution]
    for printed in each(
        printed_of(published["condition_numbers"], distribution=distribution)
    ):
        ends = (rank / count for rank in quantile_ranks(printed.quantile, count))
        low, high = (float(sample.quantile(end)) for end in ends)
        value = float(sample.quantile(printed.quantile))
        text = f"{100 * printed.quantile:g} % of {name} have less than"
        yield row(text, value, printed.value, low=low, high=high)


@EVIDENCE.add("marchenko_factor")
def marchenko_factor(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare the two readings of the deviation of the factor N of N^T N."""
    n = _sample(published)
    readings = {"text": FACTOR.deviation, "code": math.sqrt(BOUND) / math.sqrt(3.0)}
    for reading, deviation in readings.items():
        yield row(f"deviation of N, {reading}", deviation)
        mean = n * deviation**2
        yield row(f"mean eigenvalue at n = {n}, {reading}", mean)
    ratio = (readings["text"] / readings["code"]) ** 2
    yield row("ratio of the eigenvalues, text over code", ratio)
    yield row(
        "root mean square eigenvalue of the other distributions",
        WIGNER.rms_eigenvalue(n),
    )


@EVIDENCE.add("orientation")
def orientation(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare coefficients of matrices that are rotated by H and by its transpose."""
    n, count = _sample(published), spec.condition_numbers.matrices
    rng = _rng("orientation")
    vectors = torch.linalg.eigh(WIGNER.draw(rng, count, n))[1]
    values = torch.linalg.eigvalsh(DISTRIBUTIONS["laplace"](rng, count, n))
    values = values.gather(1, torch.rand(values.shape, generator=rng).argsort(1))
    for reading, turned in {"text": vectors, "code": vectors.mT}.items():
        matrix = distributions.with_spectrum(turned, values)
        on = matrix.diagonal(dim1=1, dim2=2)
        off = matrix[:, *torch.tril_indices(n, n, -1)]
        for where, part in {"on": on, "off": off}.items():
            text = (
                f"deviation of coefficients {where} the diagonal (Laplace), {reading}"
            )
            yield row(text, float(part.std()))


@EVIDENCE.add("directions")
def directions(published: Published, spec: Evidence) -> Iterator[Row]:
    """Hold eigenvectors of W against uniform directions, by their fourth moment."""
    n, count = _sample(published), spec.condition_numbers.matrices
    yield row("mean fourth power of a coefficient, uniform", 3 / (n * (n + 2)))
    for reading in COEFFICIENTS:
        base = distributions.Wigner(coefficients=reading)
        drawn = base.draw(_rng("directions"), count, n)
        fourth = torch.linalg.eigh(drawn)[1].pow(4).mean((1, 2))  # [B]
        half = 1.96 * float(fourth.std()) / math.sqrt(count)
        mean = float(fourth.mean())
        text = f"the same of eigenvectors of W, {reading} coefficients"
        yield row(text, mean, low=mean - half, high=mean + half)


@EVIDENCE.add("positive_spectra")
def positive_spectra(published: Published, spec: Evidence) -> Iterator[Row]:
    """Ask how much of a symmetric distribution a model of positive spectra may get right."""
    said, chances = (_said(published, name) for name in ("positive", "all_positive"))
    for n, printed in [(5, None), *zip(chances["n"], chances["percent"], strict=True)]:
        text = f"2⁻ⁿ, all eigenvalues positive, n = {n}"
        yield row(text, 100 * 0.5**n, printed, PERCENT)
    tests = list(said["test"].unique())
    table1 = printed_of(published["accuracy"], table=1)
    table1 = table1[
        table1["train"].map(distributions.is_positive) & table1["test"].isin(tests)
    ]
    labels = _labels(published)
    listed = ", ".join(labels[test] for test in tests)
    for end, value in table1["percent"].agg(["min", "max"]).items():
        printed = said.loc[said["note"] == f"{end}imum", "percent"].iloc[0]
        text = f"Table 1, positive models on {listed}: {end}imum"
        yield row(text, value, printed, PERCENT)
    yield from _absolute_values(published, spec, ["semicircle", *tests])


def _absolute_values(
    published: Published, spec: Evidence, tests: list[str]
) -> Iterator[Row]:
    """Score |λ| as an answer: what a model that knows no sign would get right."""
    n, labels = _sample(published), _labels(published)
    for distribution in tests:
        matrix = DISTRIBUTIONS[distribution](
            _rng("positive_spectra"), spec.condition_numbers.matrices, n
        )
        truth = TASKS["eigenvalues"].solve(matrix)
        guess = truth.abs().sort(dim=1, descending=True).values
        name = labels[distribution]
        yield percentage(f"{name}: all eigenvalues positive", (truth > 0).all(1)[:, 0])
        error = relative_error("eigenvalues", matrix, truth, guess)
        yield percentage(f"{name}: |λ| right within 5 %", error < TOLERANCE)


# Section 4: the text against the tables.


@EVIDENCE.add("positive_model")
def positive_model(published: Published, spec: Evidence) -> Iterator[Row]:
    """Find the model that the text calls positive among those of Table 6."""
    printed = the("millions", published["in_text"], train="positive", test="positive")
    table6 = printed_of(published["learning_speed"], task="eigenvalues", n=5)
    for distribution in ("abs_semicircle", "abs_laplace"):
        value = the("millions", table6, train=distribution, test="abs_semicircle")
        text = f"Table 6, {_labels(published)[distribution]}"
        yield row(text, value, printed, MILLIONS)


@EVIDENCE.add("saving")
def saving(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compute how many examples fewer distributions of Table 6 need than that of the test."""
    said, labels = _said(published, "saving"), _labels(published)
    table6 = printed_of(published["learning_speed"], task="eigenvalues", n=5)
    pairs = [(one.train, one.test, one.percent) for one in each(said)]
    pairs += [
        (distribution, "semicircle", None) for distribution in ("laplace", "gaussian")
    ]
    for distribution, test, printed in pairs:
        needed, own = (
            the("millions", table6, train=train, test=test)
            for train in (distribution, test)
        )
        text = f"fewer examples, {labels[distribution]} than {labels[test]}"
        yield row(text, 100 * (1 - needed / own), printed, PERCENT)


@EVIDENCE.add("target_accuracy")
def target_accuracy(published: Published, spec: Evidence) -> Iterator[Row]:
    """List the accuracies that Table 7 is said to be about."""
    (used,) = printed_of(published["learning_speed"], table=7)["percent"].unique()
    for said in each(_said(published, "target")):
        text = f"target taken here, and that of the {said.note}"
        yield row(text, used, said.percent, PERCENT)


@EVIDENCE.add("in_text")
def in_text(published: Published, spec: Evidence) -> Iterator[Row]:
    """Hold the accuracies in the text against the cells of the tables."""
    labels, typical = _labels(published), _said(published, "typical")
    table2, table3 = (printed_of(published["accuracy"], table=k) for k in (2, 3))
    for one in each(_said(published, "accuracy")):
        value = the("percent", table2, n=one.n, train=one.train, test=one.test)
        text = f"Table 2, {labels[one.train]} on {labels[one.test]}"
        yield row(text, value, one.percent, PERCENT)
    for one in each(_said(published, "best")):
        best = printed_of(table3, test=one.test)["percent"].max()
        yield row(f"Table 3, best on {labels[one.test]}", best, one.percent, PERCENT)
    for one in each(_said(published, "before")):
        text = f"earlier paper, n = {one.n}, {one.millions:g} million examples"
        yield row(text, None, one.percent, PERCENT)
    cells = table3[table3["train"].isin(typical["train"])]["percent"]
    for end, value in cells.agg(["min", "max"]).items():
        text = f"Table 3, {end}imum of the Gaussian and Laplace models"
        yield row(text, value, typical["percent"].iloc[0], PERCENT)


@EVIDENCE.add("counts_in_text")
def counts_in_text(published: Published, spec: Evidence) -> Iterator[Row]:
    """Hold numbers of examples in the text against the tables, where they are."""
    labels = _labels(published)
    for said in each(_said(published, "learning_speed")):
        test = {"positive": "abs_semicircle"}.get(said.test, said.test)
        name = {"task": said.task, "n": said.n, "train": said.train, "test": test}
        cell = printed_of(published["learning_speed"], **name)["millions"].dropna()
        value = float(cell.item()) if len(cell) else None  # no table shows the model
        distribution = labels.get(said.train, said.train)
        text = f"{said.task}, n = {said.n}: {distribution} on {labels[test]}"
        yield row(text, value, said.millions, MILLIONS)


@EVIDENCE.add("steps")
def steps(published: Published, spec: Evidence) -> Iterator[Row]:
    """Count the published numbers of examples that are whole epochs of the code."""
    epoch = spec.epoch / 1e6
    epochs = published["learning_speed"]["millions"].dropna() / epoch
    whole = (epochs - epochs.round()).abs() < 1e-6
    text = f"printed counts that are multiples of {epoch:g} million, of {len(whole)}"
    yield row(text, int(whole.sum()))


# Sections 2 and 3.


def _base(published: Published, kind: str, task: str) -> pd.DataFrame:
    """Return what sections 2 and 3 print of the main model of a task."""
    return printed_of(published[kind], task=task, n=5, recipe="base")


def _below(column: str, printed: pd.DataFrame, quantity: str, at: float) -> float:
    """Return the printed percentage of answers that have a quantity below a bound."""
    where = {"quantity": quantity, "group": "all", "statistic": "below", "at": at}
    return the(column, printed, **where)


@EVIDENCE.add("rule_arithmetic")
def rule_arithmetic(published: Published, spec: Evidence) -> Iterator[Row]:
    """Combine the rates on successes and failures to the rate of the whole rule."""
    for task in ("eigenvectors", "inverse"):
        right = _below("text", _base(published, "failures", task), "error", TOLERANCE)
        rates = _base(published, "verifiers", task).set_index("statistic")["text"]
        below, above = rates["successes_below"], rates["failures_above"]
        whole = (right * below + (100 - right) * above) / 100
        text = f"{task}: {right:g} % × {below:g} % + the rest × {above:g} %"
        yield row(text, whole, rates["right"], PERCENT)
    inverse = _base(published, "failures", "inverse")
    close = _below("text", inverse, "inverse_error", TOLERANCE)
    printed = the("text", inverse, quantity="inverse_error", group="failure")
    text = f"failures close to the inverse: ({close:g} − {right:g}) / (100 − {right:g})"
    yield row(text, 100 * (close - right) / (100 - right), printed, PERCENT)


@EVIDENCE.add("mantissa")
def mantissa(published: Published, spec: Evidence) -> Iterator[Row]:
    """Explain the mean condition number of failures by a single huge one.

    One value x among m that are next to nothing has mean x / m and, over the m, the
    deviation x sqrt(m - 1) / m: their ratio tells m, and then x.
    """
    vectors = _base(published, "failures", "eigenvectors")
    failures = printed_of(vectors, quantity="vectors_condition", group="failure")
    printed = the("text", failures, tolerance=TOLERANCE, statistic="mean")
    for bound in (0.05, 0.01):
        mean, deviation = (
            the("stored", failures, tolerance=bound, statistic=statistic)
            for statistic in ("mean", "deviation")
        )
        wrong = 100 - _below("stored", vectors, "error", bound)
        if bound == TOLERANCE:
            factor = mean / 10 ** math.floor(math.log10(mean))
            yield row("mean of the failures, notebook", mean, printed)
            yield row("its decimal mantissa", factor, printed)
        cases = 1 + (deviation / mean) ** 2
        at = f"at {100 * bound:g} %"
        yield row(f"failures {at}, if one value determines mean and deviation", cases)
        yield row(f"that value, {at}", mean * cases)
        yield row(
            f"all examples, from the {wrong:.4g} % that fail {at}", cases / wrong * 100
        )


@EVIDENCE.add("angles")
def angles(published: Published, spec: Evidence) -> Iterator[Row]:
    """Show that the text prints, as angles, what the notebook finds for rows alone."""
    vectors = _base(published, "failures", "eigenvectors")
    for bound in (0.1, 0.05):
        printed = _below("text", vectors, "row_angle", bound)
        value = _below("stored", vectors, "row_cosine", bound)
        yield row(f"notebook, cosines of rows below {bound:g}", value, printed, PERCENT)


def _inversions(spec: Evidence) -> tuple[Tensor, Tensor, Tensor]:
    """Give rounded matrices, the labels and the exact answers: [B, n, n] each."""
    codecs, (matrix, answer) = (
        Codecs(spec.inverse),
        oracle_accuracy.draw_test(spec.inverse),
    )
    seen, label = codecs.source.round_trip(matrix), codecs.target.round_trip(answer)
    return seen, label, codecs.oracle(matrix)


@EVIDENCE.add("product_order")
def product_order(published: Published, spec: Evidence) -> Iterator[Row]:
    """Score labels by M P − I and by P M − I, whose transpose has the same norm."""
    seen, label, _ = _inversions(spec)
    readings = {"code, M P − I": (seen, label), "text, P M − I": (seen.mT, label.mT)}
    for reading, (matrix, made) in readings.items():
        error = relative_error("inverse", matrix, made, made)
        yield percentage(f"training labels: right by {reading}", error < TOLERANCE)


@EVIDENCE.add("exact_tokens")
def exact_tokens(published: Published, spec: Evidence) -> Iterator[Row]:
    """Count answers that equal their label among those that are right, and besides."""
    seen, label, best = _inversions(spec)
    equal = (best == label).flatten(1).all(1)
    right = relative_error("inverse", seen, label, best) < TOLERANCE
    yield percentage("exact answers: right by their error", right)
    yield percentage("exact answers: right, or equal to the label", right | equal)
    missed = relative_error("inverse", seen, label, label) >= TOLERANCE
    yield percentage("training labels outside the tolerance", missed)


@EVIDENCE.add("inverse_oracle")
def inverse_oracle(published: Published, spec: Evidence) -> Iterator[Row]:
    """Ask of exact inverses what section 3 says of a model's."""
    inverse = _base(published, "failures", "inverse")
    rates = _base(published, "verifiers", "inverse").set_index("statistic")["text"]
    seen, label, best = _inversions(spec)
    accuracy = _below("text", inverse, "error", TOLERANCE)
    for who, made in {"exact answers": best, "training labels": label}.items():
        correct = relative_error("inverse", seen, label, made) < TOLERANCE
        yield percentage(f"{who}: right", correct, accuracy)
        rule = VERIFIERS["matrix_condition"]
        found = verifiers.rates(rule.predict(seen, made), correct)
        for statistic, measured in found.items():
            text = f"{who}: condition number, {statistic.replace('_', ' ')}"
            ends = {end: 100 * measured[end] for end in ("low", "high")}
            yield row(text, 100 * measured["value"], rates[statistic], PERCENT, **ends)
