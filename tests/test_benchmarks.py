"""The baseline does the work of mathprobe; measurements are stored and tabulated."""

import re
from dataclasses import replace
from functools import cache

import baseline
import circuits
import measurements
import pytest
import run
import tables
import torch
import trainings
from hypothesis import given, settings
from hypothesis import strategies as st

from mathprobe import files, flops
from mathprobe.catalog import Catalog
from mathprobe.linalg.encodings import ENCODINGS

encoding = cache(lambda name: ENCODINGS[name](digits=3))
NUMBERS = st.floats(1e-6, 1e6).flatmap(lambda x: st.sampled_from([x, -x]))


@pytest.mark.parametrize("name", ["fp15", "p1000"])
@settings(deadline=None)
@given(x=NUMBERS)
def test_the_baseline_has_the_same_tokens(name, x):
    assert getattr(baseline, name)(x) == encoding(name).tokens(x)


def test_the_baseline_has_the_published_vocabulary():
    tokens = baseline.vocabulary()
    assert set(ENCODINGS["fp15"](digits=3).vocabulary) <= set(tokens)
    assert set(ENCODINGS["p1000"](digits=3).vocabulary) <= set(tokens)
    unused = 20 + 3  # special tokens except the two ends; `10^`, the point and the bar
    assert len(tokens) == 30_329 - unused


def test_the_baseline_learns():
    torch.manual_seed(0)
    model = baseline.Model((1, 1), 16, 2)
    batch = baseline.Data(2).batch(8)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = [p.clone() for p in model.parameters()]
    baseline.step(model, adam, batch)
    assert any(
        not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)
    )
    decoded = baseline.decode(model, batch[0], 5)
    assert decoded.shape == (8, 5)


ROW = {
    "ours": {"best": 300.0, "median": 290.0},
    "plain": {"best": 100.0, "median": 99.0},
    "share_of_floor": 0.5,
    "waiting": 0.001,
    "memory": 7.4,
}
ORIGIN = {
    "revision": "abc",
    "torch": "2.13.0",
    "cuda": None,
    "driver": None,
    "cpu": "C",
    "threads": 2,
    "date": "2026-01-02",
}


def test_the_table_compares_with_the_baseline():
    rows = {"training, n=5": {**ROW, "origin": ORIGIN}}
    lines = tables.format_section("rates", rows).splitlines()
    assert lines[0] == "Revision abc, torch 2.13.0, 2 threads of C, 2026-01-02."
    assert lines[-1] == "| training, n=5 | 300 | 100.0 | 3.0 | 50% | 0.10% | 7 |  |"


def test_the_table_gives_the_reason_why_a_row_is_left_out():
    reason = run.reason_to_leave_out("bfloat16", {"avx512f"})
    assert reason == "the CPU has none of amx_bf16, avx512_bf16 and bf16"
    table = tables.SECTIONS["rates"]({"training": {"left_out": reason}})
    assert f"| training | left out: {reason} |" in table
    assert table.splitlines()[-1].count("|") == table.splitlines()[0].count("|")


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_bfloat16_is_measured_on_a_cpu_that_has_it(flag):
    assert run.reason_to_leave_out("bfloat16", {"sse", flag}) is None
    assert run.reason_to_leave_out("float32", set()) is None


def test_the_tables_of_the_readme_are_those_of_the_stored_measurements():
    text = tables.README.read_text("utf-8")
    assert tables.update(text, tables.stored()) == text, "run `make bench-tables`"


def test_the_tables_replace_only_the_text_between_the_marks():
    text = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    content = {"device": "D", "sections": {"rates": {"x": {**ROW, "origin": ORIGIN}}}}
    updated = tables.update(text, [content])
    assert updated.startswith(f"before\n{tables.BEGIN}\n\n### D\n\n#### Rates\n\n")
    assert updated.endswith(f"|\n\n{tables.END}\nafter\n")
    assert tables.update(updated, [content]) == updated
    assert tables.NOTHING in tables.update(text, [])


@pytest.fixture
def measured(tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "code_revision", lambda: "abc")
    return measurements.Measurements(tmp_path / "d.json", "D")


def test_a_stopped_run_continues_after_the_last_measurement(measured):
    def fail():
        raise KeyboardInterrupt

    planned = {"a": lambda: {"value": 1}, "b": fail}
    with pytest.raises(KeyboardInterrupt):
        measured.measure("rates", planned)
    again = measurements.Measurements(measured.path, "D")
    again.measure("rates", {"a": fail, "b": lambda: {"value": 2}})
    assert {k: row["value"] for k, row in again.section("rates").items()} == {
        "a": 1,
        "b": 2,
    }


@pytest.mark.parametrize(
    "change",
    [{"revision": "def"}, {"revision": "abc+"}, {"torch": "0"}, {"threads": 0}],
)
def test_measurements_of_other_code_or_versions_are_made_again(measured, change):
    measured.add("rates", "a", {"value": 1})
    assert measured.is_current("rates", "a")
    measured.origin |= change
    assert not measured.is_current("rates", "a")


def test_the_revision_marks_modified_code():
    assert re.fullmatch(r"[0-9a-f]{9,}\+?", measurements.code_revision())


def test_files_are_named_after_the_device():
    assert measurements.slug("NVIDIA A100-SXM4-40GB") == "nvidia-a100-sxm4-40gb"
    assert measurements.slug("AMD EPYC, 2 threads") == "amd-epyc-2-threads"


@pytest.fixture
def quick():
    """One repeat, without the memory of separate processes."""
    return run.Effort(1, 1, memory=False, examples=4)


def test_the_training_benchmark_measures_rates_and_waiting(smoke_model, quick):
    result = run.training(smoke_model, quick)
    share = result["flops"] * result["ours"]["best"] / result["matmul_rate"]
    assert result["share_of_floor"] == share > 0.0
    assert 0.0 < result["waiting"] < 1.0
    assert result["plain"]["best"] > 0.0


def test_the_training_benchmark_measures_memory(smoke_model, quick, monkeypatch):
    """Of this process; `test_memory_excludes_the_parent_process` starts another."""
    monkeypatch.setattr(run, "peak_memory", run._peak_memory)
    result = run.training(smoke_model, replace(quick, memory=True))
    assert result["memory"] > 100.0 < result["plain_memory"]


def test_decoding_and_generation_are_measured(smoke_model, quick):
    for measure in (run.generation, run.decoding):
        result = measure(smoke_model, quick)
        assert result["ours"]["best"] > 0.0 < result["plain"]["best"]


def test_both_forms_measure_float32_and_bfloat16(catalog):
    short = run.short_measurements(catalog)
    long = run.all_measurements(catalog, [5, 8])
    assert {"training, n=5, float32", "training, n=5, bfloat16"} <= short.keys()
    assert short.keys() < long.keys()
    assert "training, n=8, bfloat16" in long


def idle(model):
    return lambda: None


def test_memory_excludes_the_parent_process(smoke_model):
    large = torch.ones(375_000_000)  # 1500 MB
    assert 50.0 < run.peak_memory(idle, smoke_model) < large.nbytes / 1e6 - 400.0


def test_a_rate_counts_examples_per_second():
    result = run.rate(lambda: None, 10, 3)
    assert result["best"] >= result["median"] > 0


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A function that runs a script with small models, and returns what it stores."""
    for module in (circuits, run):
        monkeypatch.setattr(module, "SCALE", "smoke")

    def call(module, *arguments):
        words = module.__file__, *arguments, "--folder", tmp_path / "measured"
        monkeypatch.setattr("sys.argv", [*map(str, words)])
        module.main()
        [path] = (tmp_path / "measured").glob("*.json")
        return files.read_json(path)["sections"]

    return call


def test_all_rates_of_small_models_are_measured(stored, quick, monkeypatch):
    monkeypatch.setattr(run, "FULL", quick)
    monkeypatch.setattr(flops, "MATRIX_SIZES", {"cpu": 64, "cuda": 64})
    rows = stored(run, "--sizes", 2)[tables.RATES]
    assert {f"numbers, {name} read" for name in ENCODINGS} < rows.keys()
    assert rows["training, n=2, float32"]["ours"]["best"] > 0.0
    assert rows["decoding, n=2"]["ours"]["best"] > 0.0


def test_all_stages_of_the_analysis_of_a_small_decoder_are_measured(stored, catalog):
    model = next(iter(catalog.arith("smoke").rows))
    row = stored(circuits, "--model", model)[tables.CIRCUITS][model]
    assert row["interventions"] > 0 < row["nodes"]
    assert row["memory"] > 100  # torch alone takes more
    assert all(seconds >= 0.0 for seconds in row["seconds"].values())


def test_the_demo_s_trainings_are_compared(stored, monkeypatch):
    """The clones have the models and lengths; no training runs."""

    def processor_seconds(folder, target, updates):
        trainings.set_updates(folder, updates)
        demo = Catalog.load(folder / "config/config.yaml")
        study, *names = target.format(thousands=updates / 1000).split("/")
        if study == "arith":
            model = demo.arith("demo").model(*names)
        else:
            task, distribution, size, recipe = names
            model = demo.model("demo", task, distribution, int(size[1:]), recipe)
        assert model.schedule.updates == updates
        return updates / {"old": 1000, "new": 2000}[folder.name]

    monkeypatch.setattr(trainings, "processor_seconds", processor_seconds)
    options = "--updates", 200, "--pairs", 1
    rows = stored(trainings, "HEAD", "HEAD", *options)[tables.TRAININGS]
    assert rows.keys() == trainings.TARGETS.keys()
    for row in rows.values():
        assert (row["old"], row["new"]) == (pytest.approx(1.0), pytest.approx(0.5))
        assert row["saved"] == pytest.approx(0.5)


@pytest.mark.slow
def test_a_training_in_a_clone_costs_processor_time(tmp_path):
    trainings.clone("HEAD", tmp_path / "clone")
    for target in trainings.TARGETS.values():
        assert trainings.processor_seconds(tmp_path / "clone", target, 10) > 1.0


def test_the_tables_are_written_to_the_readme(tmp_path, monkeypatch):
    text = tables.README.read_text("utf-8")
    before, after = text.split(tables.BEGIN)[0], text.split(tables.END)[1]
    monkeypatch.setattr(tables, "README", tmp_path / "README.md")
    files.write_text(tables.README, f"{before}{tables.BEGIN}old{tables.END}{after}")
    tables.main()
    assert tables.README.read_text("utf-8") == text
