from pathlib import Path

import pytest

from mathprobe import cli, files
from mathprobe.paper import tables
from mathprobe.where import NUMBER, describe, find_cells, read_macros

RUN = {"revision": "abc123", "finished": "2026-01-02", "device": "cpu"}
LAPLACE = {"task": "eigenvalues", "train": "laplace", "n": 2, "recipe": "base"}
ROWS = [
    {**LAPLACE, "test": "laplace", "accuracy": 0.93265, "published": 0.42},
    {**LAPLACE, "test": "abs_laplace", "accuracy": 0.93349, "oracle": 1},
    {**LAPLACE, "test": "uniform", "accuracy": 0.93351},
]
OOD = "tables/ood_eigenvalues_n2.csv"
MODEL = "linalg/eigenvalues/laplace/n2/base"
DECODER = "add_d3_l1_h3_t3K_s1"


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "demo"
    tables.write(folder / OOD, tables.Frame(ROWS), tables.KINDS["ood"].columns)
    counts = {"model": DECODER, "operation": "addition", "class": "S2", "fails": 5000}
    files.write_csv(folder / "tables/arith_accuracy.csv", [counts], list(counts))
    for model in (MODEL, f"arith/{DECODER}"):
        files.write_json(folder / model / "run.json", RUN)
    numbers = [
        r"\defresult{main/laplace/oracle}{100.0}",
        r"\defresult{arith/fails}{5\,000}",
        r"\defresult{main/rank}{0.77}",
    ]
    files.write_text(folder / "tables/numbers.tex", "\n".join(numbers))
    return folder


def where(capsys, results, *words):
    cli.main(["where", str(results), *words])
    return capsys.readouterr().out.splitlines()


def test_a_number_leads_to_row_file_run_and_command(capsys, results):
    scores = results / MODEL / "scores.csv"
    assert where(capsys, results, "93.4") == [
        f"{results / OOD}, line 4, accuracy = 0.93351",
        "  row: task eigenvalues, train laplace, test uniform, n 2, recipe base",
        f"  source: {scores}",
        f"  run: {results / MODEL}/run.json, revision abc123, finished 2026-01-02, "
        "on cpu",
        f"  again: snakemake -c2 --force {scores} {results / OOD}",
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["93.3"], [2, 3]),
        (["93.3", "%"], [2, 3]),
        (["0.933"], [2, 3]),
        (["93.35"], [3, 4]),
        (["93.3", "abs_laplace"], [3]),
        (["laplace", "uniform"], [4]),
        (["93.3", "100", "oracle"], [3]),
    ],
)
def test_rows_match_all_words(capsys, results, words, lines):
    found = where(capsys, results, *words)
    starts = [line for line in found if line.startswith(str(results))]
    expected = [f"{results / OOD}, line {line}" for line in lines]
    assert [line.partition(", acc")[0].partition(", ora")[0] for line in starts] == (
        expected
    )


def test_a_published_number_has_no_run(capsys, results):
    found = where(capsys, results, "42")
    assert found[0] == f"{results / OOD}, line 2, published = 0.42"
    assert found[2:] == ["  source: paper/published, printed in the paper"]


def test_a_count_of_a_decoder_is_found_as_it_is_printed(capsys, results):
    found = where(capsys, results, "5,000")
    assert found[0] == "macro arith/fails = 5000"
    assert found[1] == f"{results}/tables/arith_accuracy.csv, line 2, fails = 5000"
    folder = results / "arith" / DECODER
    assert found[3] == f"  source: {folder}/accuracy.csv, {folder}/curve.csv"
    again = f"--force {folder}/accuracy.csv {results}/tables/arith_accuracy.csv"
    assert found[5].endswith(again)


def test_a_macro_leads_to_the_row_with_most_words_of_its_name(capsys, results):
    found = where(capsys, results, "main/laplace/oracle")
    assert found[0] == "macro main/laplace/oracle = 100.0"
    assert found[1] == f"{results / OOD}, line 3, oracle = 1.0"


def test_a_macro_without_a_row_is_computed(capsys, results):
    found = where(capsys, results, "main/rank")
    assert found[0] == "macro main/rank = 0.77"
    assert found[1].startswith("no row has this value")


def test_a_cell_without_a_run_does_not_hide_the_others(capsys, results):
    (results / MODEL / "run.json").unlink()
    found = where(capsys, results, "laplace")
    assert f"  source: {results / MODEL} is not trained" in found
    assert len([line for line in found if line.startswith(str(results / OOD))]) == 3


def test_a_training_that_is_not_finished_is_named_as_such(capsys, results):
    unfinished = {**RUN, "finished": None}
    files.write_json(results / MODEL / "unfinished.json", unfinished)
    found = where(capsys, results, "93.4")
    assert "unfinished.json, revision abc123, finished not yet" in found[3]


def test_no_command_makes_a_recorded_model_again(results):
    cell = find_cells(results, ["93.4"])[0]
    lines = [*describe(cell, results, Path("paper/published"), recorded=True)]
    assert lines[-1] == f"  again: snakemake -c2 --force {results / OOD}"


def test_numbers_of_macros_have_their_sign_and_their_exponent(results):
    path = results / "tables/numbers.tex"
    text = r"\defresult{a}{$-$5.3}" "\n" r"\defresult{b}{$1.28\cdot 10^{6}$}"
    files.write_text(path, text)
    found = read_macros(results)
    assert [NUMBER.findall(value) for value in found.values()] == [["-5.3"], ["1.28e6"]]


def test_an_unknown_text_is_refused(results):
    with pytest.raises(SystemExit, match=r"no macro and no row of a table has 12\.5"):
        cli.main(["where", str(results), "12.5"])
