import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs
from synthetic import PUBLISHED

from mathprobe import cli, estimates, files, plan
from mathprobe.studies import timing
from mathprobe.studies.arith.models import build as build_decoder
from mathprobe.studies.linalg.codecs import Codecs
from mathprobe.studies.linalg.models import build

NAME = {"task": "eigenvalues", "distribution": "laplace", "n": 2, "recipe": "base"}


@pytest.fixture
def target(tmp_path):
    return tmp_path / "smoke" / "paper.pdf"


def run_plan(capsys, *arguments):
    cli.main(["plan", *map(str, arguments)])
    return capsys.readouterr().out.splitlines()


def estimate(catalog, target, rate=lambda model: 1e9):
    return plan.estimate_costs(catalog, target, PUBLISHED, rate)


def cost(catalog, target):
    """Return the row of the model NAME."""
    costs = estimate(catalog, target)
    return costs[costs["model"] == "eigenvalues/laplace/n2/base"].iloc[0]


def test_the_plan_has_all_tables_of_the_paper(catalog):
    costs = estimate(catalog, Path("results/paper/paper.pdf"))
    models = costs.groupby("table").size().to_dict()
    assert models["Table 1: eigenvalues, 5 × 5"] == 7
    assert models["Table 2: eigenvalues, 10 × 10"] == 2
    assert {title.split(":")[0] for title in models} >= {
        *("Table 1", "Table 2", "Table 3", "Table 5", "Table 6", "Table 7", "failures")
    }


def test_the_total_counts_shared_models_once(catalog):
    costs = estimate(catalog, Path("results/paper/paper.pdf"))
    planned = len(catalog.all_models("paper")) + len(catalog.arith("paper").rows)
    assert costs["model"].nunique() == planned < len(costs)
    last = plan.format_costs(costs, "1e15 FLOP/s").split("\n\n")[0].split("\n")[-1]
    assert last.split()[:6] == ["total", "(each", "model", "once)", str(planned), "0"]


@pytest.mark.parametrize(
    "name",
    [
        ("paper", "eigenvalues", "laplace", 5, "base"),
        ("paper", "inverse", "uniform_coefficients", 5, "p1000"),
        ("smoke", "eigenvectors", "laplace", 3, "base"),
        ("demo", "transpose", "gaussian_coefficients", "5x3", "base"),
    ],
)
def test_flops_are_counted_for_the_sequence_lengths_of_the_codecs(
    catalog, name, monkeypatch
):
    model = catalog.model(*name)
    codecs = Codecs(model)
    seen = []
    monkeypatch.setattr(
        estimates.flops, "seq2seq_training", lambda *shape: seen.append(shape)
    )
    estimates.flops_per_example(model)
    source, target = codecs.source, codecs.target
    assert seen == [
        (
            *(model.encoder, model.decoder, source.max_length(*codecs.input_shape)),
            *(target.max_length(*codecs.output_shape) - 1, len(target.vocabulary)),
        )
    ]


def test_costs_are_proportional_to_seeds_and_examples(catalog, target):
    model = catalog.model("smoke", **NAME)
    one = cost(catalog, target)
    assert one["examples"] == model.seeds * model.schedule.examples
    training, forward = estimates.flops_per_example(model), one["flops"]
    forward -= one["examples"] * training
    # 2 points of the curve with 2 tests of 20 examples, and 7 tests of 50 examples
    assert forward == model.seeds * training // 3 * (2 * 2 * 20 + 7 * 50)
    assert one["hours"] == one["flops"] / 1e9 / 3600
    assert one["done"] == 0.0


@pytest.mark.parametrize("scale", ["paper", "smoke"])
def test_parameter_counts_equal_the_sizes_of_the_networks(catalog, scale):
    model = catalog.model(scale, **NAME)
    network = build(model, 1)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert estimates.parameter_count(model) == model.seeds * counted
    one = catalog.arith_model(scale, next(iter(catalog.arith(scale).rows)))
    counted = sum(parameter.numel() for parameter in build_decoder(one).parameters())
    assert estimates.parameter_count(one) == counted


def test_the_fraction_done_is_read_from_the_folder_of_a_model(catalog, target):
    folder = target.parent / "linalg" / "eigenvalues/laplace/n2/base"
    progress = {"examples": 160, "examples_per_second": 1.0}
    files.write_json(folder / "state/progress.json", progress)
    assert cost(catalog, target)["done"] == 0.25
    files.write_json(folder / "run.json", {"examples_per_second": 1.0})
    assert cost(catalog, target)["done"] == 1.0


def test_the_plan_prints_finished_models_and_the_assumed_rate(target, capsys):
    folder = target.parent / "linalg" / "eigenvalues/laplace/n2/base"
    files.write_json(folder / "run.json", {"examples_per_second": 1.0})
    lines = run_plan(capsys, target, "--flops-per-second", 1e6)
    assert lines[0].split()[:4] == ["table", "models", "done", "examples"]
    row = next(line for line in lines if line.startswith("out of distribution"))
    whole, left = map(float, row.split()[-4:-2])
    assert row.split()[-7:-5] == ["1", "8,960"]
    assert left == pytest.approx(whole * 6 / 7, rel=1e-2)
    assert lines[-4].endswith("one model after another, at 1.00e+06 FLOP/s.")


def test_a_rate_is_that_of_the_measured_updates(catalog, monkeypatch):
    """An update that takes 10 ms gives the operations of 100 updates per second."""
    model = catalog.model("smoke", **NAME)
    clock = iter(range(1000))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock) / 100)
    updates = 100 * model.seeds * model.schedule.batch
    expected = updates * estimates.flops_per_example(model)
    assert timing.training_rate(model, "cpu") == pytest.approx(expected)


def test_one_model_of_each_kind_is_timed(capsys, target, monkeypatch):
    timed = []
    monkeypatch.setattr(
        timing, "training_rate", lambda model, device: timed.append(model) or 1e9
    )
    run_plan(capsys, target, "--device", "cpu")
    shapes = {
        (estimates.flops_per_example(one), getattr(one.schedule, "grokfast", None))
        for one in timed
    }
    assert len(shapes) == len(timed) < 10


def test_models_that_differ_only_in_batch_or_precision_are_timed_apart(
    catalog, monkeypatch
):
    timed = []
    monkeypatch.setattr(
        timing, "training_rate", lambda model, device: timed.append(model) or 1e9
    )
    base = catalog.model("paper", **NAME)
    schedule = structs.replace(base.schedule, batch=2 * base.schedule.batch)
    longer = structs.replace(base.schedule, examples=2 * base.schedule.examples)
    others = (
        structs.replace(base, precision="float32"),
        structs.replace(base, schedule=schedule),
        structs.replace(base, schedule=longer),
    )
    rate = timing.measured_rates("cpu")
    for model in (base, *others):
        rate(model)
    assert timed == [base, *others[:2]]


def test_a_rate_must_be_positive(capsys, target):
    with pytest.raises(SystemExit, match=r"--flops-per-second: 0\.0 is not"):
        run_plan(capsys, target, "--flops-per-second", 0)


@pytest.mark.parametrize("path", ["results/tiny/paper.pdf", "results/demo", "x.pdf"])
def test_an_invalid_target_lists_the_valid_ones(path):
    with pytest.raises(
        SystemExit, match=r"the target must be a paper.*results/demo/paper.pdf"
    ):
        cli.main(["plan", path])


def test_a_plan_with_a_given_rate_does_not_import_torch():
    code = "from mathprobe import cli; import sys; cli.main(sys.argv[1:]);"
    code += "sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "plan", "results/paper/paper.pdf"]
    command += ["--flops-per-second", "1e14"]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def test_the_plan_includes_the_decoders(catalog, target):
    name = next(iter(catalog.arith("smoke").rows))
    folder = target.parent / "arith" / name
    files.write_json(folder / "run.json", {"examples_per_second": 1.0})
    costs = estimate(catalog, target).set_index("table")
    done = costs.loc["second study: arithmetic", "done"]
    assert [*done] == [1.0, 0.0, 0.0]
