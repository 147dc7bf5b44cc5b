"""A name that files, wildcards or LaTeX cannot hold is refused where it is given."""

import shutil

import pytest

from mathprobe import strict_yaml
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.inputs import Inputs
from mathprobe.linalg.distributions import DISTRIBUTIONS
from mathprobe.paper.tables import table_kind
from mathprobe.registry import Registry

NAMES = {  # and the valid names that are suggested
    "student-t": "student_t",
    "abs+laplace": "abs_laplace",
    "a/b": "a_b",
    "100%": "100",
    "chi²": "chi",
    "Gauß": "Gau",
    "a b": "a_b",
    "{n}": "n",
    "a.b": "a_b",
    "a\n": "a",
    "": "",
    "a" * 65: "a" * 65,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_registry_refuses_an_invalid_name(name):
    with pytest.raises(InputError) as error:
        DISTRIBUTIONS.add(name)
    text = str(error.value)
    assert text.startswith(f"distribution {name!r}: not a valid name; begin with")
    assert text.endswith(f"for example {NAMES[name]!r}")


def test_a_kind_of_table_has_a_valid_name():
    with pytest.raises(InputError, match="kind of table 'worst case': not a valid"):
        table_kind("worst case", columns="task")(len)


@pytest.mark.parametrize(
    ("kind", "suffix"), [("notebook", ".py"), ("template", ".tex.j2")]
)
def test_a_notebook_and_a_template_have_valid_names(tmp_path, kind, suffix):
    (tmp_path / f"paper/{kind}s").mkdir(parents=True)
    (tmp_path / f"paper/{kind}s/my page{suffix}").touch()
    with pytest.raises(
        InputError, match=rf"{kind} 'my page': .*, for example 'my_page'"
    ):
        Inputs(Catalog.load("config/config.yaml"), tmp_path)


def test_names_that_differ_in_case_only_would_share_files():
    registry = Registry("shape")
    registry.add("round")(1)
    with pytest.raises(InputError, match="'Round' is already registered"):
        registry.add("Round")


@pytest.mark.parametrize("section", ["scales", "linalg.recipes"])
@pytest.mark.parametrize(
    "name", ["deep-8", "50%", "deep 8", "deep\n", "tiefß", "a" * 65]
)
def test_a_scale_or_recipe_with_an_invalid_name_is_refused(section, name):
    config = strict_yaml.read("config/config.yaml")
    place = config
    for key in section.split("."):
        place = place[key]
    place[name] = {}
    with pytest.raises(InputError, match=r"config: .* is not a valid name of a scale"):
        Catalog(config)


@pytest.mark.parametrize(
    ("column", "text"), [("steps", "1000000000"), ("seed", "1" * 120)]
)
def test_a_decoder_with_an_invalid_name_is_refused(tmp_path, column, text):
    shutil.copytree("config", tmp_path / "config")
    path = tmp_path / "config/arith_models.tsv"
    header, first, *rest = path.read_text("utf-8").splitlines()
    cells = dict(zip(header.split("\t"), first.split("\t"), strict=True)) | {
        column: text
    }
    lines = [header, "\t".join(cells.values()), *rest]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"arith_models.tsv:2.*(valid name|whole number)"
    ):
        Catalog.load(tmp_path / "config/config.yaml")


def test_a_column_that_occurs_twice_is_refused(tmp_path):
    shutil.copytree("config", tmp_path / "config")
    path = tmp_path / "config/arith_models.tsv"
    text = path.read_text("utf-8")
    path.write_text(text.replace("\tseed\t", "\tsteps\t", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"arith_models.tsv:1: a column occurs twice"):
        Catalog.load(tmp_path / "config/config.yaml")
