"""The record of the project: whether it is whole and small, and can be made again."""

import pandas as pd
import pytest
from synthetic import CATALOG, PAPER, PROJECT

from mathprobe import archive, estimates, files, paths, record
from mathprobe.spec import ArithModel, Model
from mathprobe.studies.timing import trainer_of

RECORD = PROJECT / "paper" / "record"
LARGEST = 5_000_000  # bytes: it is under version control
UPDATES = 1000
FOLDERS = archive.recorded_models(RECORD)


def spec_of(folder):
    values = files.read_json(paths.run_file(folder))["spec"]
    return (Model if "data" in values else ArithModel).from_dict(values)


def cost_of_update(folder):
    spec = spec_of(folder)
    batch = spec.seeds * spec.schedule.batch
    return batch * estimates.flops_per_example(spec)


def test_the_record_equals_its_manifest():
    manifest = archive.verify(RECORD)["models"] if FOLDERS else {}
    found = {folder.relative_to(RECORD).as_posix() for folder in FOLDERS}
    assert manifest.keys() == found


def test_the_record_is_small():
    sizes = [path.stat().st_size for path in RECORD.rglob("*") if path.is_file()]
    assert sum(sizes) < LARGEST


def test_recorded_models_were_trained_with_committed_code():
    for folder in FOLDERS:
        run = files.read_json(paths.run_file(folder))
        assert (bool(run["revision"]), run["clean"]) == (True, True), folder


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_recorded_model_is_trained_on_the_same_data_again(folder):
    """Inputs are the same on every machine; labels with signs depend on LAPACK."""
    recorded = files.read_json(paths.run_file(folder))["data_digests"]
    drawn = trainer_of(spec_of(folder), "cpu").data_digests
    assert {seed: found[0] for seed, found in drawn.items()} == {
        seed: found[0] for seed, found in recorded.items()
    }


@pytest.mark.slow
@pytest.mark.skipif(not FOLDERS, reason="no model is recorded")
def test_the_first_updates_of_the_smallest_recorded_model_are_reproducible():
    spec = spec_of(min(FOLDERS, key=cost_of_update))
    first, second = (weights_after_updates(spec) for _ in range(2))
    assert first == second


def weights_after_updates(spec):
    trainer = trainer_of(spec, "cpu")
    for _ in range(UPDATES):
        trainer.step()
    networks = (state.network for state in trainer.train_states.values())
    weights = [network.state_dict() for network in networks]
    return [files.digest({k: v.numpy() for k, v in one.items()}) for one in weights]


def test_findings_in_the_readme_are_those_of_the_record():
    text = (PROJECT / "README.md").read_text("utf-8")
    assert record.readme(text, CATALOG, PAPER / "published") == text


def test_a_recorded_result_is_in_the_table_of_the_readme():
    same = {"claim": "robust", "statement": "Laplace is better", "published": "9"}
    known = {"scale": "workstation", "size": "3 × 3", "ours": "8", "verdict": "yes"}
    text = record.markdown(pd.DataFrame([same | known]), ["workstation"])
    assert "| Laplace is better | 9 | 8 (workstation, 3 × 3) | **yes** |" in text
    assert text.startswith("Models of scale `workstation` are smaller")
    nothing = record.markdown(pd.DataFrame([same | dict.fromkeys(known)]), [])
    assert "| Laplace is better | 9 | not recorded yet |  |" in nothing
