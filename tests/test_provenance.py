import numpy as np
import pytest
import torch

from mathprobe import dependencies, files, gpus, provenance


def test_provenance_has_code_versions_and_machine():
    found = provenance.collect("linalg")
    assert found["versions"]["torch"].startswith("2.")
    assert found["cpu"]
    assert len(found["code"]) == 64
    assert found["started"].endswith("+00:00")
    assert set(found) >= {"revision", "clean", "python", "machine"}
    assert found["cuda"] == torch.version.cuda
    assert found["driver"] == gpus.driver_version()
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["lapack"] != "unknown"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            "  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build "
            "20240605\n  - Build settings: BLAS_INFO=mkl, LAPACK_INFO=mkl, USE_CUDA=0",
            "mkl 2024.2",
        ),
        ("  - Build settings: BLAS_INFO=open, LAPACK_INFO=open, USE_CUDA=0", "open"),
        ("  - OpenBLAS 0.3.28\n  - Build settings: LAPACK_INFO=open", "open 0.3.28"),
        ("PyTorch built with:\n  - GCC 13.3", "unknown"),
    ],
)
def test_vendor_and_version_of_lapack_are_read(config, expected):
    assert provenance.lapack(config) == expected


def test_only_recorded_facts_that_differ_are_named():
    origin = {**provenance.collect("linalg"), "device": "cpu", "threads": 1}
    attempt = provenance.reproducibility(origin)
    assert provenance.differences(attempt, origin) == {}
    attempt |= {"device": "NVIDIA A100", "code": "0123456789abcdef"}
    del attempt["lapack"]
    code = origin["code"][:12]
    assert provenance.differences(attempt, {**origin, "lapack": "other"}) == {
        "device": "device NVIDIA A100 (now cpu)",
        "code": f"code 0123456789ab (now {code})",
    }


@pytest.mark.parametrize("study", provenance.TRAINING_COMMANDS)
def test_the_code_of_a_training_is_the_digest_of_its_command(study):
    code = provenance.collect(study)["code"]
    assert code == dependencies.digest(provenance.TRAINING_COMMANDS[study])
    modules = dependencies.modules(provenance.TRAINING_COMMANDS[study])
    assert {
        *("mathprobe.cli.device", "mathprobe.train_state", "mathprobe.seeds"),
        f"mathprobe.studies.{study}.training",
    } <= set(modules)
    other = "arith" if study == "linalg" else "linalg"
    assert not [name for name in modules if f".{other}." in name]


def test_a_test_set_made_by_other_code_is_stale(tmp_path):
    arrays = {"matrix": np.eye(2)}
    path = tmp_path / "n2.npz"
    files.save_arrays(path, arrays, code=dependencies.digest("testset"))
    assert not provenance.is_stale_testset(path)
    files.save_arrays(path, arrays, code="of other code")
    assert provenance.is_stale_testset(path)
    files.save_arrays(path, arrays)
    assert provenance.is_stale_testset(path)


def test_outside_a_checkout_the_revision_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert provenance.revision() == {"revision": None, "clean": None}


def test_a_missing_package_is_reported(monkeypatch):
    monkeypatch.setattr(provenance, "VERSIONS", ("no-such-package",))
    assert provenance.collect("linalg")["versions"] == {
        "no-such-package": "not installed"
    }
