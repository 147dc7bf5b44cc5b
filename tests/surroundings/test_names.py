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


@pytest.fixture
def table(tmp_path):
    """The table of decoders of the smoke scale, in a copy of the configuration."""
    shutil.copytree("config", tmp_path / "config")
    return tmp_path / "config/arith_models_smoke.tsv"


def load(table):
    return Catalog.load(table.with_name("config.yaml")).arith("smoke").rows


def with_cell(text, column, cell):
    """Return a table with another cell in its first row."""
    header, first, *rest = text.splitlines()
    cells = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    return "\n".join([header, "\t".join((cells | {column: cell}).values()), *rest])


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("steps", "1000000000", "whole number|valid name"),
        ("seed", "1" * 120, "whole number|valid name"),
        *[
            ("operation", text, "unknown operation .*; did you mean 'add'")
            for text in ("Add", " add", "add\xa0", "\x0cadd")
        ],
    ],
)
def test_a_decoder_with_an_invalid_name_is_refused(table, column, text, message):
    changed = with_cell(table.read_text("utf-8"), column, text)
    table.write_text(changed, encoding="utf-8")
    with pytest.raises(InputError, match=rf"arith_models_smoke.tsv:2.*({message})"):
        load(table)


@pytest.mark.parametrize(
    ("old", "new"),
    [("\n", "\r\n"), ("\n", "\n\n"), ("\n", "\t\n"), ("operation", "\ufeffoperation")],
)
def test_a_table_as_programs_save_it_is_read(table, old, new):
    rows, text = load(table), table.read_text("utf-8")
    table.write_bytes(text.replace(old, new).encode())
    assert load(table) == rows


HEADER = "operation\tdigits\tlayers\theads\tsteps\tseed\tgrokfast\tmembership\n"
ROW = "add\t2\t1\t2\t20\t1\tno\tours"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the table has no model"),
        (HEADER.encode(), ": the table has no model"),
        (HEADER.encode("utf-16"), ": save this file as UTF-8 text"),
        ((HEADER + "\xe9").encode("latin-1"), ": save this file as UTF-8 text"),
        ((HEADER + ROW + "\t").encode(), ":2: more cells than columns; remove tabs"),
        (f"{HEADER}\n\n{ROW}\n{ROW}\n".encode(), ":5: duplicate model"),
        ((HEADER.replace("seed", "steps") + ROW).encode(), ":1: a column occurs twice"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(table, content, message):
    table.write_bytes(content)
    with pytest.raises(InputError, match=f"arith_models_smoke.tsv{message}"):
        load(table)


def test_a_missing_table_is_refused_by_its_setting(table):
    table.unlink()
    with pytest.raises(InputError, match=r"arith.models: .*smoke.tsv: No such file"):
        load(table)
