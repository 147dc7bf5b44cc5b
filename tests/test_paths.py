import pytest

from mathprobe import paths
from mathprobe.errors import InputError
from mathprobe.paper.tables import KINDS


@pytest.fixture(scope="module")
def known(catalog):
    by_size = [name for name, kind in KINDS.items() if kind.config_table]
    return {
        **catalog.names,
        "kind": by_size,
        "table": ["oracle_accuracy.csv", "numbers.tex"],
    }


def wildcards(name, **more):
    return {key: str(value) for key, value in {**name, **more}.items()}


def test_paths_of_models_and_test_sets_round_trip(catalog, known):
    for scale in catalog.scales:
        for model in catalog.all_models(scale):
            name = wildcards(model, scale=scale)
            path = paths.MODEL.format(**name) + "/scores.csv"
            pattern, found = paths.parse(path, known)
            assert (pattern, found.pop("file")) == (
                f"{paths.MODEL}/{{file}}",
                "scores.csv",
            )
            assert found == name
            del name["recipe"]
            path = paths.TESTSET.format(**name)
            assert paths.parse(path, known) == (paths.TESTSET, name)


def test_paths_of_decoders_round_trip(catalog, known):
    for name in catalog.decoders:
        path = paths.ARITH.format(scale="paper", model=name) + "/facts/nodes.csv"
        found = {"scale": "paper", "model": name, "file": "facts/nodes.csv"}
        assert paths.parse(path, known) == (f"{paths.ARITH}/{{file}}", found)


def test_paths_of_tables_round_trip(catalog, known):
    """Underscores separate kind and task, and also occur in their names."""
    for kind in known["kind"]:
        for entry in catalog.linalg("paper").entries[KINDS[kind].config_table]:
            name = wildcards(
                {"scale": "demo", "kind": kind, "task": entry.task, "n": "5x3"}
            )
            assert paths.parse(paths.TABLE.format(**name), known) == (paths.TABLE, name)


def test_paths_may_have_mixtures_and_rectangular_sizes(known):
    model = "results/demo/linalg/transpose/laplace+gaussian/n5x3/base/run.json"
    assert paths.parse(model, known)[1]["distribution"] == "laplace+gaussian"
    for path in ("tables/oracle_accuracy.csv", "paper.pdf", "figures/any.pdf"):
        assert paths.parse(f"results/record/{path}", known)


def test_a_record_has_the_same_paths_in_its_own_folder():
    assert paths.in_record(paths.ARITH, "paper/record") == "paper/record/arith/{model}"


LINALG = "results/demo/linalg/eigenvalues"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("result/demo/paper.pdf", "unknown name 'result'; did you mean 'results'?"),
        ("results/dmo/paper.pdf", "unknown scale 'dmo'; did you mean 'demo'?"),
        ("results/tiny/paper.pdf", "unknown scale 'tiny'; known names are paper, as_c"),
        ("results/demo/lnalg/x", "unknown name 'lnalg'; did you mean 'linalg'?"),
        ("results/demo/paper.pd", "unknown name 'paper.pd'; did you mean 'paper.pdf'?"),
        (
            "results/demo/linalg/eigenvalue/laplace/n2/base/run.json",
            "unknown task 'eigenvalue'; did you mean 'eigenvalues'",
        ),
        (
            f"{LINALG}/gausian/n2/base/x",
            "unknown distribution 'gausian'; did you mean 'gaussian'?",
        ),
        (
            f"{LINALG}/laplace+laplas/n2/base/x",
            "unknown distribution 'laplas'; did you mean 'lapl",
        ),
        (f"{LINALG}/laplace/n0/base/x", "invalid size 'n0'; write n5"),
        (f"{LINALG}/laplace/n2/bse/x", "unknown recipe 'bse'; did you mean 'base'?"),
        (
            f"{LINALG}/laplace/n2/base",
            "incomplete path; complete paths are results/{scale}/linal",
        ),
        (
            "results/demo/linalg/testsets/eigenvalues/laplace/2.npz",
            "invalid size '2.npz'",
        ),
        (
            "results/demo/arith/add_d3_l2_h3_t3K_s2/run.json",
            "unknown model 'add_d3_l2_h3_t3K_s2'; did you mean 'add_d3_l2_h3_t3K_s1'",
        ),
        (
            "results/demo/tables/ood_eigenvalue_n3.csv",
            "unknown name 'ood_eigenvalue_n3.csv'; did you mean 'ood_eigenvalues_n3",
        ),
        (
            "results/demo/tables/oracle_acuracy.csv",
            "unknown name 'oracle_acuracy.csv'; did you mean 'oracle_accuracy.csv'?",
        ),
        ("elsewhere", "unknown name 'elsewhere'; known names are results"),
    ],
)
def test_an_error_about_a_path_suggests_similar_names(known, path, message):
    with pytest.raises(InputError) as caught:
        paths.parse(path, known)
    assert str(caught.value).startswith(f"{path}: {message}")
