import copy
import json
import re
from pathlib import Path

import pytest

from mathprobe import settings, strict_yaml
from mathprobe.catalog import Catalog
from mathprobe.catalog.linalg import entry_models
from mathprobe.errors import InputError
from mathprobe.linalg.distributions import Spectrum, default_parameters
from mathprobe.registry import UnknownName
from mathprobe.settings import merge
from mathprobe.spec import Model
from mathprobe.structs import flatten

EXAMPLES = {
    "example_models": {
        "addition": "add_d3_l2_h3_t3K_s1",
        "mixed": "ins1_mix_d3_l3_h4_t6K_s1",
    }
}


@pytest.fixture
def config():
    return strict_yaml.read("config/config.yaml")


def put(config, path, value):
    """Return a copy with a value set by its dotted path."""
    changed = copy.deepcopy(config)
    *outer, last = path.split(".")
    place = changed
    for key in outer:
        place = place.setdefault(key, {})
    place[last] = value
    return changed


def test_the_scale_paper_has_the_settings_of_the_paper(catalog, config):
    assert config["scales"]["paper"] == {}
    assert catalog.linalg("paper").settings.tests.to_dict() == config["linalg"]["tests"]
    paper = catalog.model("paper", "eigenvalues", "laplace", 5, "base")
    assert (paper.encoder.layers, paper.encoder.width, paper.encoder.heads) == (
        6,
        512,
        8,
    )
    assert (paper.schedule.batch, paper.schedule.warmup_updates) == (64, 10_000)


@pytest.mark.parametrize("scale", ["demo", "smoke"])
def test_other_scales_are_smaller(catalog, scale):
    paper, small = (
        catalog.model(name, "eigenvalues", "laplace", 2, "base").to_dict()
        for name in ("paper", scale)
    )
    for part in ("encoder", "decoder"):
        assert all(small[part][key] <= paper[part][key] for key in paper[part])
    assert small["schedule"]["examples"] < paper["schedule"]["examples"]
    assert catalog.linalg(scale).settings.tests.examples <= 10_000


def test_a_scale_overrides_only_the_keys_that_it_lists(catalog):
    demo, paper = catalog.linalg("demo"), catalog.linalg("paper")
    assert demo.settings.tests.tolerances == paper.settings.tests.tolerances
    assert demo.recipe("eigenvalues", "base").schedule.batch == 64


def test_the_distributions_of_the_scale_as_coded_are_those_of_the_code(catalog):
    coded = catalog.linalg("as_coded").settings.distributions
    assert {settings["coefficients"] for settings in coded.values()} == {"uniform"}
    deviation = coded["marchenko_pastur"]["deviation"]
    assert deviation == pytest.approx(10**0.5 / 3**0.5)
    rows = {name for name, one in coded.items() if one.get("eigenvectors") == "rows"}
    oriented = {
        name
        for name in catalog.distributions
        if isinstance(default_parameters(name), Spectrum)
    }
    assert rows == oriented


def test_the_scale_as_coded_differs_from_the_paper_only_in_stated_settings(catalog):
    paper, coded = (
        flatten(catalog.linalg(name).to_dict()) for name in ("paper", "as_coded")
    )
    different = {
        key for key in paper.keys() | coded.keys() if paper.get(key) != coded.get(key)
    }
    others = {key for key in different if not key.startswith("distributions")}
    assert others == {
        *("tests.zero_answers", "tests.exact_answers"),
        *(f"recipes.{name}.schedule.restart_factor" for name in catalog.recipes),
        *(f"recipes.{name}.eigenvalue_order" for name in catalog.recipes),
    }
    model = catalog.model("as_coded", "eigenvectors", "laplace", 5, "base")
    assert (model.zero_answers, model.exact_answers) == ("right", "right")
    assert (model.signs, model.eigenvalue_order) == ("lapack", "ascending")
    assert model.schedule.restart_factor == 0.1


def test_specifications_store_settings_younger_than_results_only_if_they_differ(
    catalog,
):
    younger = {"eigenvalue_order", "exact_answers"}
    paper, coded = (
        catalog.model(scale, "eigenvectors", "laplace", 5, "base")
        for scale in ("paper", "as_coded")
    )
    assert not younger & paper.to_dict().keys()
    assert younger <= coded.to_dict().keys()
    assert Model.from_json(paper.to_json()) == paper
    assert Model.from_json(coded.to_json()) == coded


@pytest.mark.parametrize("scale", ["demo", "record"])
def test_a_recipe_that_no_table_names_is_no_fact(catalog, scale):
    config = merge(catalog.config, {"linalg": {"recipes": {"other": {"seeds": 7}}}})
    other = Catalog(config)
    assert other.model("demo", "eigenvalues", "laplace", 2, "other").seeds == 7
    assert other.facts(scale) == catalog.facts(scale)


def test_a_recipe_overrides_base(catalog):
    base, other = (
        catalog.model("paper", "eigenvalues", "laplace", 5, name)
        for name in ("base", "attended")
    )
    assert (base.query, other.query) == ("input", "attended")
    assert other.schedule == base.schedule


@pytest.mark.parametrize("scale", ["demo", "smoke", "as_coded"])
def test_a_recipe_overrides_the_base_of_its_scale(catalog, config, scale):
    base = catalog.model(scale, "eigenvalues", "laplace", 2, "base").to_dict()
    for name, overrides in config["linalg"]["recipes"].items():
        if name != "base":
            recipe = catalog.model(scale, "eigenvalues", "laplace", 2, name).to_dict()
            del recipe["curve"]  # its tests depend on the schedule
            expected = settings.merge(base, overrides)
            assert recipe == {key: expected[key] for key in recipe}


def test_a_recipe_overrides_a_task_which_overrides_base(catalog):
    inverse = catalog.model("paper", "inverse", "uniform_coefficients", 5, "base")
    assert (inverse.encoder.width, inverse.decoder.width) == (516, 512)
    half = catalog.model("paper", "eigenvectors", "uniform_wigner", 5, "half")
    assert half.schedule.examples == 80_000_000
    assert half.input.encoding == "p1000"


def test_learning_curves_have_distributions_that_fit_the_task(catalog):
    inverse = catalog.model("paper", "inverse", "uniform_coefficients", 5, "base")
    assert inverse.curve.tests == ["uniform_coefficients"]
    half = catalog.model("paper", "eigenvectors", "uniform_wigner", 5, "half")
    assert half.curve.tests == ["semicircle", "abs_semicircle", "uniform_wigner"]


def test_a_model_is_tested_on_the_distributions_of_its_task_and_its_own(catalog):
    assert catalog.test_distributions("eigenvalues", "laplace") == catalog.distributions
    general = ["uniform_coefficients", "gaussian_coefficients"]
    assert catalog.test_distributions("inverse", "laplace+gaussian") == [
        *general,
        "laplace",
        "gaussian",
    ]


def test_a_mixture_has_the_settings_of_its_components(catalog):
    mixed = catalog.model("as_coded", "eigenvalues", "laplace+uniform", 5, "base")
    assert set(mixed.data.distribution_settings) == {"laplace", "uniform"}


def test_sizes_may_be_rectangular_if_the_task_allows_it(catalog):
    data = catalog.testset("demo", "transpose", "uniform_coefficients", "5x3").data
    assert (data.n, data.columns) == (5, 3)
    with pytest.raises(InputError, match="5 x 3: matrices must be square"):
        catalog.testset("demo", "inverse", "uniform_coefficients", "5x3")


def test_reading_a_configuration_does_not_change_it(config):
    before = copy.deepcopy(config)
    Catalog(config)
    assert config == before


def test_a_table_that_is_not_configured_uses_the_first_entry_of_its_kind(catalog):
    demo = catalog.linalg("demo")
    (entry,) = demo.table_entries("learning_speed", "eigenvalues", "7")
    first = demo.entries["learning_speed"][0]
    assert (entry.n, entry.recipe, entry.accuracy) == ("7", "base", first.accuracy)
    assert [
        name["distribution"] for name in entry_models(entry)
    ] == catalog.distributions


def entries(recipes, **more):
    return [{"task": "eigenvalues", "n": 5, "recipe": r, **more} for r in recipes]


def test_a_table_has_all_entries_of_its_task_and_size(config):
    both = entries(["base", "attended"])
    catalog = Catalog(put(config, "linalg.tables.out_of_distribution", both))
    found = catalog.linalg("paper").table_entries(
        "out_of_distribution", "eigenvalues", "5"
    )
    assert [entry.to_dict() for entry in found] == both


def test_every_entry_of_learning_speed_has_its_own_target_accuracy(config):
    slow = entries(["half"], distributions=["laplace"], accuracy=0.7)
    fast = entries(["base", "half"], distributions=["laplace"], accuracy=0.9)
    catalog = Catalog(put(config, "linalg.tables.learning_speed", [*slow, *fast]))
    assert catalog.linalg("paper").target_accuracies("eigenvalues", "5") == [
        "eigenvalues/laplace/n5/half=0.7",
        "eigenvalues/laplace/n5/base=0.9",
        "eigenvalues/laplace/n5/half=0.9",
    ]


def test_a_model_has_one_row_in_a_table(config):
    twice = [*entries(["base"]), *entries(["base"], distributions=["laplace"])]
    with pytest.raises(InputError, match="laplace/n5/base is in two entries; remove"):
        Catalog(put(config, "linalg.tables.out_of_distribution", twice))


@pytest.mark.parametrize(
    ("scale", "full"),
    [
        *(("paper", True), ("as_coded", True), ("record", False)),
        *(("workstation", False), ("demo", False), ("smoke", False)),
    ],
)
def test_only_scales_with_the_size_of_the_papers_are_full(catalog, scale, full):
    assert catalog.facts(scale)["full"] == full


@pytest.mark.parametrize(
    ("changes", "full"),
    [
        ({"accuracy": {"questions": 1000}}, False),
        ({"models": "config/arith_models_demo.tsv"} | EXAMPLES, False),
        ({"grokfast": {"keep_average": False}}, True),
    ],
)
def test_a_scale_is_full_only_if_its_second_study_is_full(config, changes, full):
    changed = put(config, "scales.light", {"arith": changes})
    changed = put(changed, "compute.light", config["compute"]["paper"])
    assert Catalog(changed).facts("light")["full"] == full


def test_the_workstation_trains_decoders_of_the_paper(catalog):
    names = catalog.arith("workstation").rows
    assert "add_d6_l2_h3_t15K_s372001" in names
    for name in names:
        assert catalog.arith_model("workstation", name) == catalog.arith_model(
            "paper", name
        )


def test_the_workstation_covers_the_sizes_up_to_that_of_the_paper(catalog):
    entries = catalog.linalg("workstation").settings.tables.out_of_distribution
    models = {entry.n: len(entry_models(entry)) for entry in entries}
    assert models == {5: 4, 4: 7, 3: 7, 2: 7}


def test_a_record_has_the_models_of_all_recorded_scales(catalog):
    recorded = [json.dumps(name) for name in catalog.all_models("record")]
    assert len(set(recorded)) == len(recorded)
    expected = [
        json.dumps(name)
        for scale in ("paper", "workstation")
        for name in catalog.all_models(scale)
    ]
    assert set(recorded) == set(expected)
    assert catalog.arith("record").rows == catalog.arith("paper").rows


def test_scales_that_define_a_model_differently_are_not_recorded_together(config):
    message = "config.record.scales: paper and demo differ in arith"
    with pytest.raises(InputError, match=message):
        Catalog(put(config, "record.scales", ["paper", "demo"]))


def test_facts_can_be_written_as_json(catalog):
    for scale in catalog.all_scales:
        facts = catalog.facts(scale)
        assert json.loads(json.dumps(facts)) == facts


INVALID = {
    "default_scale": ("tiny", "config.default_scale: unknown scale 'tiny'; known name"),
    "linalg.recipes.base.batch": (
        64,
        "config.linalg.recipes.base: unknown key 'batch'; known names are input, out",
    ),
    "linalg.recipes.base.schedule.batch": (
        "64",
        "config.linalg.recipes.base.schedule.batch: '64' is not a whole number",
    ),
    "linalg.recipes.base.schedule.examples": (
        2.5,
        "config.linalg.recipes.base.schedule.examples: 2.5 is not a whole number",
    ),
    "linalg.recipes.base.seeds": (
        "three",
        "config.linalg.recipes.base.seeds: 'three' is not a whole number",
    ),
    "linalg.recipes.base.schedule.learning_rate": (
        "1e-4",
        "learning_rate: '1e-4' is not a number (YAML reads 1e-4 as text: write 1.0e-4)",
    ),
    "linalg.recipes.half.schedule": (
        {"stop_acuracy": 0.7},
        "recipes.half.schedule: unknown key 'stop_acuracy'; did you mean 'stop_accurac",
    ),
    "linalg.recipes.base.input": (
        {"encoding": "p10"},
        "config.linalg.recipes.base.input: digits is missing; keys are encoding",
    ),
    "linalg.recipes.base.input.encoding": (
        "p100",
        "input.encoding: unknown encoding 'p100'; did you mean 'p1000' or 'p10'?",
    ),
    "linalg.recipes.base.output.digits": (
        1,
        "output.digits: 1 is too small; the typical rounding error is 7.9% and the "
        "tolerance is 5.0%",
    ),
    "linalg.recipes.base.input.digits": (
        9,
        "digits: 9 is too large; fp15 allows 1 to 4",
    ),
    "linalg.recipes.base.encoder.heads": (7, "width 512 is not a multiple of 7 heads"),
    "linalg.recipes.base.query": (
        "both",
        "query: 'both' is not one of 'input', 'at",
    ),
    "linalg.recipes.base.curve.tests": (
        ["cauchy"],
        "curve.tests: unknown distribution 'cauchy'",
    ),
    "linalg.tasks.trace": ({}, "config.linalg.tasks: unknown task 'trace'"),
    "linalg.tasks.inverse": (
        {"encoder": {"width": 516}},
        "config.linalg.tasks.inverse.encoder: width 516 is not a multiple of 8 heads",
    ),
    "linalg.distributions.cauchy": (
        {},
        "distributions: unknown distribution 'cauchy'; known names are semicircle",
    ),
    "linalg.distributions.laplace": (
        {"deviation": 1.0},
        "distributions.laplace: unknown parameter 'deviation'; known names are bound",
    ),
    "linalg.distributions.uniform": (
        {"coefficients": "normal"},
        "uniform.coefficients: unknown distribution of coefficients 'normal'",
    ),
    "linalg.distributions.abs_laplace": (
        {"eigenvectors": "diagonal"},
        "abs_laplace.eigenvectors: unknown orientation of eigenvectors 'diagonal'; "
        "known names are columns, rows",
    ),
    "linalg.distributions.semicircle": (
        {"eigenvectors": "rows"},
        "semicircle: unknown parameter 'eigenvectors'; known names are bound, coeffic",
    ),
    "linalg.recipes.base.signs": (
        "positive",
        "signs: 'positive' is not one of 'lapack', 'canonical'",
    ),
    "linalg.tests.zero_answers": (
        "ignored",
        "tests.zero_answers: 'ignored' is not one of 'wrong', 'right'",
    ),
    "linalg.tests.exact_answers": (
        "wrong",
        "tests.exact_answers: 'wrong' is not one of 'by_error', 'right'",
    ),
    "linalg.recipes.base.eigenvalue_order": (
        "increasing",
        "eigenvalue_order: 'increasing' is not one of 'descending', 'ascending'",
    ),
    "linalg.recipes.base.schedule.restart_factor": (
        1.5,
        "schedule.restart_factor: 1.5 is not a number",
    ),
    "linalg.distributions.gaussian": (
        {"bound": "ten"},
        "gaussian.bound: 'ten' is not a number",
    ),
    "linalg.tests.tolerances": (
        [0.01, 0.05],
        "config.linalg.tests: [0.01, 0.05] must begin with 0.05",
    ),
    "linalg.tests.failure_tolerances": ([0.05, 0.05], "[0.05, 0.05] has duplicates"),
    "linalg.tables.out_of_distribution": (
        [],
        "out_of_distribution: [] is not a list of length >= 1",
    ),
    "linalg.tables.learning_speed": (
        [{"task": "eigenvalues", "n": 5, "recipe": "base"}],
        "config.linalg.tables.learning_speed.0: accuracy is missing; keys are task, n",
    ),
    "scales.demo.linalg.recipes.wide": (
        {"query": "input"},
        "config.scales.demo.linalg.recipes: unknown recipe of config.linalg 'wide'",
    ),
    "scales.demo.linalg.recipes.base.schedule.batch": (
        0,
        "config.scales.demo.linalg.recipes.base.schedule.batch: 0 is not a whole n",
    ),
    "compute.paper.train.save_every": (0.5, "save_every: 0.5 is not a whole number"),
    "compute.paper.train.gpus": (2, "train.gpus: 2 is not a whole number <= 1"),
    "scales.demo.linalg.recipe": (
        {},
        "config.scales.demo.linalg: unknown key 'recipe'; did you mean 'recipes'?",
    ),
    "scales.demo.threads": (1, "config.scales.demo: unknown key 'threads'"),
    "scales.demo.linalg": (5, "config.scales.demo.linalg: 5 is not a mapping"),
    "scales.Big": ({}, "config: 'Big' is not a valid name of a scale"),
    "scales.record": ({}, "config: 'record' is not a valid name of a scale"),
    "scales.large": (
        {},
        "config.compute: must have the same scales as config.scales; only in one",
    ),
    "compute.demo.train.threads": (0, "train.threads: 0 is not a whole number >= 1"),
    "nonsense": (1, "config: unknown key 'nonsense'; known names are default_scale"),
}


@pytest.mark.parametrize("path", INVALID)
def test_an_invalid_configuration_is_rejected_with_the_location(config, path):
    value, message = INVALID[path]
    with pytest.raises(InputError, match=re.escape(message)):
        Catalog(put(config, path, value))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("tiny", "eigenvalues", "laplace", 2, "base"), "unknown scale 'tiny'"),
        (("demo", "eigenvalue", "laplace", 2, "base"), "unknown task 'eigenvalue'"),
        (("demo", "eigenvalues", "laplas", 2, "base"), "unknown distribution 'laplas'"),
        (("demo", "eigenvalues", "laplace", 2, "bass"), "unknown recipe 'bass'"),
    ],
)
def test_an_unknown_name_is_rejected(catalog, call, message):
    with pytest.raises((InputError, UnknownName), match=message):
        catalog.model(*call)


def test_invalid_yaml_is_rejected(tmp_path):
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"bad.yaml: invalid YAML"):
        strict_yaml.read(tmp_path / "bad.yaml")


def test_merging_replaces_lists_and_does_not_change_its_arguments():
    base = {"a": {"b": [1, 2], "c": 3}}
    assert settings.merge(base, {"a": {"b": [9]}}) == {"a": {"b": [9], "c": 3}}
    assert base == {"a": {"b": [1, 2], "c": 3}}


def test_the_documentation_lists_all_settings():
    documented = Path("docs/configuration.md").read_text(encoding="utf-8")
    assert settings.documentation() in documented, (
        "docs/configuration.md: replace the table: `mathprobe settings`"
    )


def test_every_setting_has_a_description():
    rows = settings.documentation().splitlines()[2:]
    assert len(rows) > 100
    for row in rows:
        assert re.fullmatch(r"\| `[^`]+` \| [^|]+ \| [^|]+ \|", row), row
