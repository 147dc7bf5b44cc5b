import dataclasses

import pytest

from mathprobe import cli, costs, files, plan
from mathprobe.paper import tables

HEAD = "s\th:m:s\tmax_rss\tcpu_time\n"
NAME = {"task": "eigenvalues", "law": "laplace", "n": 2, "recipe": "base"}


def measured(path, seconds, memory="10.0", cpu="1.5"):
    files.write_text(path, f"{HEAD}{seconds}\t0:00:01\t{memory}\t{cpu}\n")


@pytest.fixture
def logs(tmp_path):
    measured(tmp_path / "linalg/a/linalg_train.tsv", 100.0, "300.5", "90.0")
    measured(tmp_path / "linalg/b/linalg_train.tsv", 50.0, "200.0", "45.0")
    measured(tmp_path / "tables/ood_n2.paper_table.tsv", 0.4, "-", "NA")
    return tmp_path


def test_jobs_are_summed_by_rule_the_costliest_first(logs):
    train, table = costs.rules(logs)
    assert train == {
        **{"rule": "linalg_train", "jobs": 2, "seconds": 150.0, "longest": 100.0},
        **{"cpu_seconds": 135.0, "peak_mb": 300.5},
    }
    assert (table["rule"], table["jobs"]) == ("paper_table", 1)
    assert (table["cpu_seconds"], table["peak_mb"]) == (None, None)


def trained(folder, spec, **run):
    facts = {"spec": spec.plain(), "seconds": 7200.0, "processes": 2, "device": "H200"}
    files.write_json(folder / "run.json", {**facts, **run})
    return folder


def test_a_training_stands_beside_what_was_foreseen(books, tmp_path):
    spec = dataclasses.replace(books.model("smoke", **NAME), seeds=3)
    folder = trained(tmp_path / "linalg/eigenvalues/laplace/n2/base", spec)
    operations = plan.operations(spec)
    (row,) = costs.trainings([folder], operations / 1000)
    assert row["model"] == "eigenvalues/laplace/n2/base"
    assert row["operations"] == 3 * 640 * plan.per_example(spec) == operations
    assert row["foreseen"] == pytest.approx(500.0)  # on two devices
    assert row["gpu_hours"] == 4.0
    assert row["flops_per_second"] == pytest.approx(operations / 7200)


def test_a_processor_takes_no_gpu_hours(books, tmp_path):
    spec = books.model("smoke", **NAME)
    folder = trained(tmp_path / "linalg/m", spec, device="cpu", processes=1)
    (row,) = costs.trainings([folder], 1e9)
    assert row["gpu_hours"] is None


def test_costs_are_written_as_two_tables(books, logs, tmp_path):
    folder = trained(tmp_path / "linalg/m", books.model("smoke", **NAME))
    out = {name: tmp_path / f"{name}.csv" for name in costs.COLUMNS}
    arguments = ["--logs", logs, "--models", folder, "--flops-per-second", 1e9]
    arguments += [part for name, path in out.items() for part in (f"--{name}", path)]
    cli.main(["costs", *map(str, arguments)])
    for name, count in (("rules", 2), ("trainings", 1)):
        rows = tables.read(out[name])
        assert len(rows) == count
        assert tuple(rows) == costs.COLUMNS[name]


def test_trainings_of_both_studies_are_told(books, tmp_path):
    name = next(iter(books.arith("smoke").rows))
    spec = books.arith_model("smoke", name)
    folder = trained(tmp_path / "arith" / name, spec, device="cpu", processes=1)
    (row,) = costs.trainings([folder], 1e9)
    assert row["model"] == name
    assert row["operations"] == plan.arith_operations(spec) > 0
