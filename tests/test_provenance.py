import pytest

from mathprobe import provenance


def test_a_stamp_says_which_code_runs_where():
    stamp = provenance.stamp("linalg")
    assert stamp["versions"]["torch"].startswith("2.")
    assert stamp["cpu"]
    assert len(stamp["code"]) == 64
    assert stamp["started"].endswith("+00:00")
    assert set(stamp) >= {"revision", "clean", "python", "machine"}


@pytest.mark.parametrize("study", provenance.DECIDING)
def test_the_digest_follows_the_deciding_modules(study, monkeypatch, tmp_path):
    before = provenance.code_digest(study)
    modules = provenance.DECIDING[study]
    for module in modules:
        copy = tmp_path / module
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((provenance.PACKAGE / module).read_bytes())
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert provenance.code_digest(study) == before
    (tmp_path / modules[-1]).write_text("")
    assert provenance.code_digest(study) != before


def test_outside_a_checkout_the_revision_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert provenance.revision() == {"revision": None, "clean": None}


def test_a_package_that_is_missing_is_said_to_be(monkeypatch):
    monkeypatch.setattr(provenance, "VERSIONS", ("no-such-package",))
    assert provenance.stamp("linalg")["versions"] == {
        "no-such-package": "not installed"
    }
