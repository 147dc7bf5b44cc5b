import copy

import pytest
from jsonschema import Draft202012Validator

from mathprobe import catalog
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.registry import UnknownName


@pytest.fixture
def config():
    return catalog.read("config/config.yaml")


@pytest.fixture(scope="module")
def schema():
    return catalog.read(catalog.SCHEMA)


def put(config, path, value):
    """Set a value of a copy by its dotted path."""
    changed = copy.deepcopy(config)
    *outer, last = path.split(".")
    place = changed
    for key in outer:
        place = place.setdefault(key, {})
    place[last] = value
    return changed


def test_the_schema_is_one(schema):
    Draft202012Validator.check_schema(schema)


def test_the_paper_scale_shrinks_nothing(books, config):
    assert config["scales"]["paper"] == {}
    assert books.linalg("paper")["tests"] == config["linalg"]["tests"]
    paper = books.model("paper", "eigenvalues", "laplace", 5, "base")
    assert (paper.encoder.layers, paper.encoder.width, paper.encoder.heads) == (
        6,
        512,
        8,
    )
    assert (paper.schedule.batch, paper.schedule.warmup_updates) == (64, 10_000)


@pytest.mark.parametrize("scale", ["demo", "smoke"])
def test_other_scales_only_shrink(books, scale):
    paper, small = (
        books.model(name, "eigenvalues", "laplace", 2, "base").plain()
        for name in ("paper", scale)
    )
    for part in ("encoder", "decoder"):
        assert all(small[part][key] <= paper[part][key] for key in paper[part])
    assert small["schedule"]["examples"] < paper["schedule"]["examples"]
    assert books.linalg(scale)["tests"]["examples"] <= 10_000


def test_a_scale_changes_what_it_names_and_nothing_else(books):
    demo, paper = books.linalg("demo"), books.linalg("paper")
    assert demo["tests"]["tolerances"] == paper["tests"]["tolerances"]
    assert demo["recipes"]["base"]["schedule"]["batch"] == 64


def test_the_coded_scale_differs_from_the_paper_in_the_law_alone(books):
    paper, coded = books.linalg("paper"), books.linalg("as_coded")
    assert {law["coefficients"] for law in coded["laws"].values()} == {"uniform"}
    deviation = coded["laws"]["marchenko_pastur"]["deviation"]
    assert deviation == pytest.approx(10**0.5 / 3**0.5)
    assert {**coded, "laws": paper["laws"]} == paper


def test_a_recipe_is_laid_over_base(books):
    base, other = (
        books.model("paper", "eigenvalues", "laplace", 5, name)
        for name in ("base", "attended")
    )
    assert (base.query, other.query) == ("input", "attended")
    assert other.schedule == base.schedule


@pytest.mark.parametrize("scale", ["demo", "smoke", "as_coded"])
def test_a_recipe_is_laid_over_the_base_of_its_scale(books, config, scale):
    base = books.model(scale, "eigenvalues", "laplace", 2, "base").plain()
    for name, over in config["linalg"]["recipes"].items():
        if name != "base":
            made = books.model(scale, "eigenvalues", "laplace", 2, name).plain()
            del made["curve"]  # its tests follow the schedule
            expected = catalog.merged(base, over)
            assert made == {key: expected[key] for key in made}


def test_a_task_changes_the_base_and_a_recipe_lies_over_both(books):
    square = books.model("paper", "inverse", "uniform_coefficients", 5, "base")
    assert (square.encoder.width, square.decoder.width) == (516, 512)
    half = books.model("paper", "eigenvectors", "uniform_wigner", 5, "half")
    assert half.schedule.examples == 80_000_000
    assert half.input.encoding == "p1000"


def test_curves_are_measured_on_laws_that_fit_and_on_the_one_that_ends_them(books):
    square = books.model("paper", "inverse", "uniform_coefficients", 5, "base")
    assert square.curve.tests == ["uniform_coefficients"]
    half = books.model("paper", "eigenvectors", "uniform_wigner", 5, "half")
    assert half.curve.tests == ["semicircle", "abs_semicircle", "uniform_wigner"]


def test_a_model_is_tested_on_the_laws_of_its_task_and_its_own(books):
    assert books.tests("eigenvalues", "laplace") == books.laws
    general = ["uniform_coefficients", "gaussian_coefficients"]
    assert books.tests("inverse", "laplace+gaussian") == [
        *general,
        "laplace",
        "gaussian",
    ]


def test_a_mixture_has_the_settings_of_its_parts(books):
    mixed = books.model("as_coded", "eigenvalues", "laplace+uniform", 5, "base")
    assert set(mixed.data.law_settings) == {"laplace", "uniform"}


def test_sizes_may_be_rectangular_where_the_task_allows_it(books):
    data = books.testset("demo", "transpose", "uniform_coefficients", "5x3").data
    assert (data.n, data.columns) == (5, 3)
    with pytest.raises(InputError, match="5 x 3: matrices must be square"):
        books.testset("demo", "inverse", "uniform_coefficients", "5x3")


def test_reading_a_configuration_changes_it_not(config, schema):
    before = copy.deepcopy(config)
    Catalog(config, schema)
    assert config == before


def test_an_entry_that_is_not_configured_is_the_first_moved(books):
    shown = books.shown("demo", "learning_speed", "eigenvalues", "7")
    first = books.entries("demo")["learning_speed"][0]
    assert shown == [{**first, "n": "7"}]


def test_all_entries_of_a_task_and_size_are_shown(config, schema):
    path = "linalg.tables.out_of_distribution"
    entries = [
        {"task": "eigenvalues", "n": 5, "recipe": r} for r in ("base", "attended")
    ]
    books = Catalog(put(config, path, entries), schema)
    assert books.shown("paper", "out_of_distribution", "eigenvalues", "5") == entries


@pytest.mark.parametrize(
    ("scale", "full"),
    [("paper", True), ("as_coded", True), ("demo", False), ("smoke", False)],
)
def test_a_scale_that_shrinks_anything_is_not_full(books, scale, full):
    assert books.facts(scale)["full"] == full


BAD = {
    "default_scale": ("tiny", "default_scale: unknown scale 'tiny'; known names"),
    "linalg.recipes.base.batch": (64, "'batch' was unexpected"),
    "linalg.recipes.base.schedule.batch": ("64", "schedule.batch: '64' is not of type"),
    "linalg.recipes.base.schedule.learning_rate": (
        "1e-4",
        "learning_rate: '1e-4' is not of type 'number'.*write 1.0e-4",
    ),
    "linalg.recipes.base.input.encoding": (
        "p100",
        "input.encoding: unknown encoding 'p100'; known names are p10, p1000",
    ),
    "linalg.recipes.base.output.digits": (
        1,
        "output.digits: 1 is too coarse: a number is rounded by 7.9%, as a rule, and "
        "answers are right within 5.0%",
    ),
    "linalg.recipes.base.input.digits": (9, "digits: 9 is too many; fp15 takes 1 to 4"),
    "linalg.recipes.base.encoder.heads": (7, "width 512 is not a multiple of 7 heads"),
    "linalg.recipes.base.query": ("both", "query: 'both' is not one of"),
    "linalg.recipes.base.curve.tests": (
        ["cauchy"],
        "curve.tests: unknown law 'cauchy'",
    ),
    "linalg.laws.cauchy": (
        {},
        "laws: unknown law 'cauchy'; known names are semicircle",
    ),
    "linalg.laws.laplace": (
        {"deviation": 1.0},
        "laws.laplace: unknown setting 'deviation'; known names are bound, coef",
    ),
    "linalg.laws.uniform": (
        {"coefficients": "normal"},
        "laws.uniform.coefficients: unknown law of coefficients 'normal'",
    ),
    "linalg.tests.tolerances": ([0.01], r"tests.tolerances: \[0.01\] does not contain"),
    "linalg.tables.out_of_distribution": ([], "out_of_distribution: .* non-empty"),
    "scales.demo.linalg.recipes.wide": (
        {"query": "input"},
        "demo.linalg.recipes: unknown recipe of config.linalg 'wide'",
    ),
    "compute.paper.train.save_every": (0.5, "save_every: 0.5 is not of type 'integer'"),
    "scales.demo.linalg.recipe": ({}, "scales.demo.linalg: .*'recipe' was unexpected"),
    "scales.demo.threads": (1, "scales.demo: .*'threads' was unexpected"),
    "scales.Big": ({}, "'Big' does not match"),
    "scales.large": ({}, "config.compute: .*large is in one of them only"),
    "compute.demo.train.threads": (0, r"compute\.\w+\.train.threads: 0 is less than"),
    "nonsense": (1, "'nonsense' was unexpected"),
}


@pytest.mark.parametrize("path", BAD)
def test_a_bad_configuration_is_named_with_its_place(config, schema, path):
    value, message = BAD[path]
    with pytest.raises(InputError, match=message):
        Catalog(put(config, path, value), schema)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("tiny", "eigenvalues", "laplace", 2, "base"), "unknown scale 'tiny'"),
        (("demo", "eigenvalue", "laplace", 2, "base"), "unknown task 'eigenvalue'"),
        (("demo", "eigenvalues", "laplas", 2, "base"), "unknown law 'laplas'"),
        (("demo", "eigenvalues", "laplace", 2, "bass"), "unknown recipe 'bass'"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(books, call, message):
    with pytest.raises((InputError, UnknownName), match=message):
        books.model(*call)


def test_yaml_that_is_none_is_named(tmp_path):
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"bad.yaml: not YAML"):
        catalog.read(tmp_path / "bad.yaml")


def test_laying_over_replaces_lists_and_leaves_the_lower_alone():
    under = {"a": {"b": [1, 2], "c": 3}}
    assert catalog.merged(under, {"a": {"b": [9]}}) == {"a": {"b": [9], "c": 3}}
    assert under == {"a": {"b": [1, 2], "c": 3}}
