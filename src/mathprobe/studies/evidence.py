"""Evidence for the errata of Charton 2022: paper, code and notebook disagree.

Each function compares printed numbers with each other, or with numbers computed from
random matrices; none needs a network.  `published` contains the tables of printed
numbers, by name.  Percentages are between 0 and 100, as printed.
B: examples, n: size of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import numpy as np
import pandas as pd
import scipy.linalg
import torch
from torch import Tensor

from mathprobe.intervals import quantile_ranks
from mathprobe.linalg import distributions, verifiers
from mathprobe.linalg.distributions import (
    BOUND,
    COEFFICIENTS,
    DISTRIBUTIONS,
    FACTOR,
    WIGNER,
    Spectrum,
)
from mathprobe.linalg.scores import is_below, relative_error
from mathprobe.linalg.tasks import TASKS
from mathprobe.linalg.verifiers import VERIFIERS
from mathprobe.registry import Registry
from mathprobe.seeds import rng_for
from mathprobe.spec import ConditionNumbers, DistributionSettings, Evidence, Signs
from mathprobe.studies import oracle_accuracy
from mathprobe.studies.evidence_rows import PERCENT, Row, percentage, row
from mathprobe.studies.linalg import STUDY
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.conditions import sample_condition_numbers

Published = dict[str, pd.DataFrame]
EvidenceFunction = Callable[[Published, Evidence], Iterator[Row]]

EVIDENCE: Registry[EvidenceFunction] = Registry("evidence")
TOLERANCE = 0.05  # in the tables of the paper
MILLIONS = "million"


def _rng(use: str) -> torch.Generator:
    return rng_for(STUDY, "evidence", use)


def select(printed: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the rows whose columns have the given values."""
    values = {column: [value] for column, value in where.items()}
    return printed[printed[[*where]].isin(values).all(axis=1)]


def lookup(column: str, printed: pd.DataFrame, **where: Any) -> float:
    """Return the value of a column in the only row with the given values."""
    return float(select(printed, **where)[column].dropna().item())


def iter_rows(printed: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows as named tuples."""
    yield from printed.itertuples(index=False)


def _statements(published: Published, statement: str) -> pd.DataFrame:
    """Return the numbers in the text of section 4 for one kind of statement."""
    return select(published["in_text"], statement=statement)


def _labels(published: Published) -> dict[str, str]:
    """Return the labels of distributions, by name."""
    return dict(published["labels"].itertuples(index=False))


# Section 4: distributions.


# Distributions that draw coefficients instead of eigenvalues.
FROM_COEFFICIENTS = ("semicircle", "abs_semicircle", "marchenko_pastur")
SAMPLE_RATIO = 10  # simulated matrices, per matrix in the paper's sample


@EVIDENCE.add("coefficients")
def coefficients(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare Table 4 with simulations for both distributions of coefficients.

    The intervals are 95 % sampling intervals at the sample size of the paper.
    """
    n, count = _matrix_size(published), SAMPLE_RATIO * spec.condition_numbers.matrices
    for variant in COEFFICIENTS:
        rows: list[Row] = []
        first: list[Row] = []
        for distribution in FROM_COEFFICIENTS:
            settings: DistributionSettings = {distribution: {"coefficients": variant}}
            simulated = ConditionNumbers(n, count, settings)
            sample, _ = sample_condition_numbers(simulated, distribution)
            quantiles = list(_quantiles(published, spec, distribution, sample))
            rows += quantiles
            first.append(quantiles[0])
        inside = [one["low"] <= one["printed"] <= one["high"] for one in rows]
        text = f"{variant}: quantiles of Table 4 in their intervals"
        yield row(text, sum(inside), total=len(inside))
        for one in first:
            yield {**one, "quantity": f"{variant}: {one['quantity']}"}


def _matrix_size(published: Published) -> int:
    """Return the size n of the matrices of Table 4."""
    return int(published["condition_numbers"]["n"].iloc[0])


def _quantiles(
    published: Published, spec: Evidence, distribution: str, sample: Tensor
) -> Iterator[Row]:
    """Compare the printed quantiles of a distribution with quantiles of a sample."""
    count, name = spec.condition_numbers.matrices, _labels(published)[distribution]
    for printed in iter_rows(
        select(published["condition_numbers"], distribution=distribution)
    ):
        ends = (rank / count for rank in quantile_ranks(printed.quantile, count))
        low, high = (float(sample.quantile(end)) for end in ends)
        value = float(sample.quantile(printed.quantile))
        text = f"{100 * printed.quantile:g} % quantile of {name}"
        yield row(text, value, printed.value, low=low, high=high)


@EVIDENCE.add("marchenko_factor")
def marchenko_factor(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare text and code: standard deviations of the factor N of N^T N."""
    n = _matrix_size(published)
    variants = {"text": FACTOR.deviation, "code": math.sqrt(BOUND) / math.sqrt(3.0)}
    for variant, deviation in variants.items():
        yield row(f"standard deviation of N, {variant}", deviation)
        mean = n * deviation**2
        yield row(f"mean eigenvalue at n = {n}, {variant}", mean)
    ratio = (variants["text"] / variants["code"]) ** 2
    yield row("ratio of the eigenvalues, text / code", ratio)
    text = "root mean square eigenvalue of the other distributions"
    yield row(text, WIGNER.rms_eigenvalue(n))


@EVIDENCE.add("orientation")
def orientation(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare the coefficients of H diag(λ) H^T (text) and H^T diag(λ) H (code).

    The standard deviation of a coefficient in the code, by position, is divided by the
    one in the text, which has one value on the diagonal and one off the diagonal.
    """
    n, count = _matrix_size(published), SAMPLE_RATIO * spec.condition_numbers.matrices
    for title, name, parameters in _given_eigenvalues(_labels(published)):
        text, code = (
            DISTRIBUTIONS[name](_rng("orientation"), count, n, variant).std(0)
            for variant in (parameters, replace(parameters, eigenvectors="rows"))
        )
        on, off = text.diagonal(), text[*torch.tril_indices(n, n, -1)]
        for i, j in [(0, 0), (n // 2, n // 2), (0, 1), (0, n - 1)]:
            reference = (on if i == j else off).square().mean().sqrt()
            place = f"deviation at ({i + 1}, {j + 1}), code / text"
            yield row(f"{title}: {place}", float(code[i, j] / reference))


def _given_eigenvalues(
    labels: dict[str, str],
) -> Iterator[tuple[str, str, Spectrum]]:
    """Yield title, name and parameters of the paper's distributions of this kind.

    If the eigenvalues are those of Wigner matrices, the parameters have every
    distribution of their coefficients.
    """
    for name, distribution in DISTRIBUTIONS.items():
        defaults = distribution.parameters
        if name not in labels or not isinstance(defaults, Spectrum):
            continue
        if name not in FROM_COEFFICIENTS:
            yield labels[name], name, defaults
            continue
        for coefficients in COEFFICIENTS:
            title = f"{labels[name]}, {coefficients} coefficients"
            yield title, name, replace(defaults, coefficients=coefficients)


@EVIDENCE.add("signs")
def signs(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare the signs of eigenvectors from PyTorch and from other LAPACK routes.

    The percentages are those of matrices with an eigenvector whose sign differs.
    """
    n, count = _matrix_size(published), spec.condition_numbers.matrices
    matrix, task = WIGNER.draw(_rng("signs"), count, n), TASKS["eigenvectors"]
    ours = task.solve(matrix)
    for route, theirs in _eigenvectors_by_route(matrix).items():
        for variant in get_args(Signs):
            left, right = (
                task.label(matrix, answer, variant)[:, 1:] for answer in (ours, theirs)
            )
            differs = ((left * right).sum(1) < 0).any(1)
            yield percentage(f"signs {variant}: PyTorch and {route} differ", differs)


def _eigenvectors_by_route(matrix: Tensor) -> dict[str, Tensor]:
    """Return answers [B, 1 + n, n] to the task `eigenvectors`, by LAPACK route."""
    routes: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
        "NumPy": np.linalg.eigh,
        "SciPy, driver evr": partial(scipy.linalg.eigh, driver="evr"),
    }
    answers = {
        name: np.stack([np.vstack(solve(one)) for one in matrix.numpy()])
        for name, solve in routes.items()
    }
    return {k: torch.from_numpy(answer).flip(-1) for k, answer in answers.items()}


@EVIDENCE.add("directions")
def directions(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare fourth moments: eigenvectors of Wigner matrices, uniform directions."""
    n, count = _matrix_size(published), spec.condition_numbers.matrices
    yield row("mean fourth power of a component, uniform directions", 3 / (n * (n + 2)))
    for variant in COEFFICIENTS:
        wigner = distributions.Wigner(coefficients=variant)
        matrix = wigner.draw(_rng("directions"), count, n)
        fourth = torch.linalg.eigh(matrix)[1].pow(4).mean((1, 2))  # [B]
        half = 1.96 * float(fourth.std()) / math.sqrt(count)
        mean = float(fourth.mean())
        text = f"mean fourth power, eigenvectors of W, {variant} coefficients"
        yield row(text, mean, low=mean - half, high=mean + half)


@EVIDENCE.add("positive_spectra")
def positive_spectra(published: Published, spec: Evidence) -> Iterator[Row]:
    """Estimate the accuracy of predicting |λ| instead of λ.

    It is compared with the accuracy of models that are trained on positive eigenvalues
    and tested on distributions with eigenvalues of both signs.
    """
    accuracies = _statements(published, "positive")
    probabilities = _statements(published, "all_positive")[["n", "percent"]]
    for n, printed in [(5, None), *probabilities.itertuples(index=False)]:
        text = f"probability 2⁻ⁿ of positive eigenvalues only, n = {n}"
        yield row(text, 100 * 0.5**n, printed, PERCENT)
    tests = list(accuracies["test"].unique())
    table1 = select(published["accuracy"], table=1)
    table1 = table1[
        table1["train"].map(distributions.is_positive) & table1["test"].isin(tests)
    ]
    labels = _labels(published)
    listed = ", ".join(labels[test] for test in tests)
    for end, value in table1["percent"].agg(["min", "max"]).items():
        printed = select(accuracies, note=f"{end}imum")["percent"].iloc[0]
        text = f"Table 1, positive models on {listed}: {end}imum"
        yield row(text, value, printed, PERCENT)
    yield from _absolute_values(published, spec, ["semicircle", *tests])


def _absolute_values(
    published: Published, spec: Evidence, tests: list[str]
) -> Iterator[Row]:
    """Score |λ| as a prediction of λ, like a model that ignores signs."""
    n, labels = _matrix_size(published), _labels(published)
    for distribution in tests:
        matrix = DISTRIBUTIONS[distribution](
            _rng("positive_spectra"), spec.condition_numbers.matrices, n
        )
        truth = TASKS["eigenvalues"].solve(matrix)
        guess = truth.abs().sort(dim=1, descending=True).values
        name = labels[distribution]
        yield percentage(f"{name}: all eigenvalues positive", (truth > 0).all(1)[:, 0])
        error = relative_error("eigenvalues", matrix, truth, guess)
        correct = is_below(error, TOLERANCE)
        yield percentage(f"{name}: |λ| correct within 5 %", correct)


# Section 4: text and tables.


@EVIDENCE.add("positive_model")
def positive_model(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare a number for "the positive model" with the candidates of Table 6."""
    printed = lookup(
        "millions", published["in_text"], train="positive", test="positive"
    )
    table6 = select(published["learning_speed"], task="eigenvalues", n=5)
    for distribution in ("abs_semicircle", "abs_laplace"):
        value = lookup("millions", table6, train=distribution, test="abs_semicircle")
        text = f"Table 6, {_labels(published)[distribution]}"
        yield row(text, value, printed, MILLIONS)


@EVIDENCE.add("saving")
def saving(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compute how many examples a training distribution saves in Table 6.

    The baseline is training on the test distribution.
    """
    statements, labels = _statements(published, "saving"), _labels(published)
    table6 = select(published["learning_speed"], task="eigenvalues", n=5)
    pairs = [(one.train, one.test, one.percent) for one in iter_rows(statements)]
    pairs += [(train, "semicircle", None) for train in ("laplace", "gaussian")]
    for train, test, printed in pairs:
        needed, baseline = (
            lookup("millions", table6, train=name, test=test) for name in (train, test)
        )
        text = f"fewer examples, {labels[train]} than {labels[test]}"
        yield row(text, 100 * (1 - needed / baseline), printed, PERCENT)


@EVIDENCE.add("target_accuracy")
def target_accuracy(published: Published, spec: Evidence) -> Iterator[Row]:
    """List the target accuracies that the paper states for Table 7; they differ."""
    (used,) = select(published["learning_speed"], table=7)["percent"].unique()
    for one in iter_rows(_statements(published, "target")):
        text = f"target accuracy, used here and printed in the {one.note}"
        yield row(text, used, one.percent, PERCENT)


@EVIDENCE.add("in_text")
def in_text(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare accuracies in the text with those in the tables."""
    labels, typical = _labels(published), _statements(published, "typical")
    table2, table3 = (select(published["accuracy"], table=k) for k in (2, 3))
    for one in iter_rows(_statements(published, "accuracy")):
        value = lookup("percent", table2, n=one.n, train=one.train, test=one.test)
        text = f"Table 2, {labels[one.train]} on {labels[one.test]}"
        yield row(text, value, one.percent, PERCENT)
    for one in iter_rows(_statements(published, "best")):
        best = select(table3, test=one.test)["percent"].max()
        yield row(f"Table 3, best on {labels[one.test]}", best, one.percent, PERCENT)
    for one in iter_rows(_statements(published, "before")):
        text = f"earlier paper, n = {one.n}, {one.millions:g} million examples"
        yield row(text, None, one.percent, PERCENT)
    cells = table3[table3["train"].isin(typical["train"])]["percent"]
    for end, value in cells.agg(["min", "max"]).items():
        text = f"Table 3, {end}imum of the Gaussian and Laplace models"
        yield row(text, value, typical["percent"].iloc[0], PERCENT)


@EVIDENCE.add("counts_in_text")
def counts_in_text(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare numbers of examples in the text with those in the tables."""
    labels = _labels(published)
    for one in iter_rows(_statements(published, "learning_speed")):
        test = {"positive": "abs_semicircle"}.get(one.test, one.test)
        name = {"task": one.task, "n": one.n, "train": one.train, "test": test}
        cell = select(published["learning_speed"], **name)["millions"].dropna()
        value = float(cell.item()) if len(cell) else None  # None: in no table
        distribution = labels.get(one.train, one.train)
        text = f"{one.task}, n = {one.n}: {distribution} on {labels[test]}"
        yield row(text, value, one.millions, MILLIONS)


@EVIDENCE.add("steps")
def steps(published: Published, spec: Evidence) -> Iterator[Row]:
    """Count published numbers of examples that are multiples of the code's epoch."""
    epoch = spec.epoch / 1e6
    epochs = published["learning_speed"]["millions"].dropna() / epoch
    is_multiple = (epochs - epochs.round()).abs() < 1e-6
    text = f"printed counts that are multiples of {epoch:g} million"
    yield row(text, int(is_multiple.sum()), total=len(epochs))


# Sections 2 and 3.


def _base(published: Published, kind: str, task: str) -> pd.DataFrame:
    """Return the numbers of sections 2 and 3 for the main model of a task."""
    return select(published[kind], task=task, n=5, recipe="base")


def _below(column: str, printed: pd.DataFrame, quantity: str, at: float) -> float:
    """Return the printed percentage of answers whose quantity is below a threshold."""
    where = {"quantity": quantity, "group": "all", "statistic": "below", "at": at}
    return lookup(column, printed, **where)


@EVIDENCE.add("rule_arithmetic")
def rule_arithmetic(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compute how often a verifier is right, from its rates by outcome.

    For inverses, also compute the proportion of failures that are close to the inverse.
    """
    for task in ("eigenvectors", "inverse"):
        right = _below("text", _base(published, "failures", task), "error", TOLERANCE)
        rates = _base(published, "verifiers", task).set_index("statistic")["text"]
        below, above = rates["successes_below"], rates["failures_above"]
        wrong = 100 - right
        combined = (right * below + wrong * above) / 100
        text = f"{task}: {right:g} % × {below:g} % + {wrong:g} % × {above:g} %"
        yield row(text, combined, rates["right"], PERCENT)
    inverse = _base(published, "failures", "inverse")
    close = _below("text", inverse, "inverse_error", TOLERANCE)
    printed = lookup("text", inverse, quantity="inverse_error", group="failure")
    text = f"failures close to the inverse: ({close:g} − {right:g}) / (100 − {right:g})"
    yield row(text, 100 * (close - right) / (100 - right), printed, PERCENT)


@EVIDENCE.add("mantissa")
def mantissa(published: Published, spec: Evidence) -> Iterator[Row]:
    """Explain the printed mean condition number of failures by a single huge value.

    If one of m values is x and the others are negligible, the mean is x / m and the
    standard deviation is x sqrt(m - 1) / m.  Together, they determine m and x.
    """
    vectors = _base(published, "failures", "eigenvectors")
    failures = select(vectors, quantity="vectors_condition", group="failure")
    printed = lookup("text", failures, tolerance=TOLERANCE, statistic="mean")
    for bound in (0.05, 0.01):
        mean, deviation = (
            lookup("stored", failures, tolerance=bound, statistic=statistic)
            for statistic in ("mean", "deviation")
        )
        wrong = 100 - _below("stored", vectors, "error", bound)
        if bound == TOLERANCE:
            factor = mean / 10 ** math.floor(math.log10(mean))
            yield row("mean of the failures, notebook", mean, printed)
            yield row("decimal mantissa of this mean", factor, printed)
        cases = 1 + (deviation / mean) ** 2
        at = f"at {100 * bound:g} %"
        yield row(f"failures {at}, if one value determines mean and deviation", cases)
        yield row(f"that value, {at}", mean * cases)
        text = f"number of examples, of which {wrong:.4g} % fail {at}"
        yield row(text, cases / wrong * 100)


@EVIDENCE.add("angles")
def angles(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare printed angles with the cosines of the notebook, which uses only rows."""
    vectors = _base(published, "failures", "eigenvectors")
    for bound in (0.1, 0.05):
        printed = _below("text", vectors, "row_angle", bound)
        value = _below("stored", vectors, "row_cosine", bound)
        yield row(f"notebook, cosines of rows below {bound:g}", value, printed, PERCENT)


def _inversions(spec: Evidence) -> tuple[Tensor, Tensor, Tensor]:
    """Return rounded matrices, labels and the oracle's predictions: [B, n, n] each."""
    codecs = Codecs(spec.inverse)
    matrix, answer = oracle_accuracy.draw_test(spec.inverse)
    rounded, label = codecs.round_trip(matrix, answer)
    return rounded, label, codecs.oracle(matrix)


@EVIDENCE.add("product_order")
def product_order(published: Published, spec: Evidence) -> Iterator[Row]:
    """Score training labels by M P − I and by P M − I.

    P M − I is computed as its transpose, M^T P^T − I, which has the same entries.
    """
    matrix, label, _ = _inversions(spec)
    variants = {
        "code, M P − I": (matrix, label),
        "text, P M − I": (matrix.mT, label.mT),
    }
    for variant, (factor, inverse) in variants.items():
        error = relative_error("inverse", factor, inverse, inverse)
        correct = is_below(error, TOLERANCE)
        yield percentage(f"training labels: correct by {variant}", correct)


@EVIDENCE.add("exact_tokens")
def exact_tokens(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compute the accuracy if predictions that equal their label are correct."""
    matrix, label, oracle = _inversions(spec)
    equal = (oracle == label).flatten(1).all(1)
    correct, of_label = (
        is_below(relative_error("inverse", matrix, label, inverse), TOLERANCE)
        for inverse in (oracle, label)
    )
    yield percentage("oracle: correct by relative error", correct)
    yield percentage("oracle: correct, or equal to the label", correct | equal)
    yield percentage("training labels outside the tolerance", ~of_label)


@EVIDENCE.add("inverse_oracle")
def inverse_oracle(published: Published, spec: Evidence) -> Iterator[Row]:
    """Compare the oracle's inverses with the model's in section 3."""
    printed = _base(published, "failures", "inverse")
    rates = _base(published, "verifiers", "inverse").set_index("statistic")["text"]
    matrix, label, oracle = _inversions(spec)
    accuracy = _below("text", printed, "error", TOLERANCE)
    verifier = VERIFIERS["matrix_condition"]
    for name, inverse in {"oracle": oracle, "training labels": label}.items():
        error = relative_error("inverse", matrix, label, inverse)
        correct = is_below(error, TOLERANCE)
        yield percentage(f"{name}: correct", correct, accuracy)
        accepted = verifier.predict(matrix, inverse)
        for rate, found in verifiers.rates(accepted, correct).items():
            text = f"{name}: condition number, {rate.replace('_', ' ')}"
            value, low, high = (100 * found[key] for key in ("value", "low", "high"))
            yield row(text, value, rates[rate], PERCENT, low, high)
