import copy
import shutil

import pytest

from mathprobe import strict_yaml
from mathprobe.catalog import Catalog
from mathprobe.errors import InputError
from mathprobe.spec import INSERTION_MODES, ArithModel

TABLE = "config/arith_models.tsv"
FIRST, INSERTED, GROKFAST = 0, 28, 40  # rows


@pytest.fixture(scope="module")
def paper(catalog):
    return catalog.arith("paper")


@pytest.fixture
def load(tmp_path):
    """Return a function that loads a catalog with one changed cell of a table."""

    def loaded(row, column, text):
        shutil.copytree("config", tmp_path / "config")
        path = tmp_path / TABLE
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        lines[1 + row][lines[0].index(column)] = text
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
        return Catalog.load(tmp_path / "config/config.yaml").arith("paper")

    return loaded


def test_the_paper_has_44_models_of_four_kinds(paper):
    rows = paper.rows.values()
    assert len(rows) == 44
    stated = [row for row in rows if not row.grokfast]
    kinds = [(row.operation, bool(row.parent)) for row in stated]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("add", False): 16,
        ("sub", False): 2,
        ("mix", False): 8,
        ("mix", True): 14,
    }
    assert sum(row.grokfast for row in rows) == 4
    assert all(row.membership == "inferred" for row in rows if row.grokfast)


def test_models_of_the_paper_have_its_widths(paper):
    for name in paper.rows:
        model = paper.model(name)
        assert (model.network.width, model.network.head_width) == (510, 170)
        assert (model.schedule.batch, model.schedule.learning_rate) == (64, 8e-5)
    assert paper.accuracy().questions == 1_000_000


@pytest.mark.parametrize("scale", ["demo", "smoke"])
def test_other_scales_are_smaller(catalog, paper, scale):
    small = catalog.arith(scale)
    models = [small.model(name) for name in small.rows]
    largest = paper.model("mix_d12_l3_h4_t85K_s572091")
    for model in models:
        assert model.network.width < largest.network.width
        assert model.schedule.updates < 15_000
    assert any(model.insertion for model in models)
    assert small.accuracy().questions < paper.accuracy().questions


def test_every_name_is_formatted_from_its_row(catalog):
    for scale in catalog.scales:
        rows = catalog.arith(scale).rows
        assert all(catalog.arith(scale).model(name).name == name for name in rows)
        assert set(rows) <= set(catalog.decoders)


def test_a_specification_includes_the_specification_of_the_parent(paper):
    model = paper.model("ins1_mix_d6_l3_h4_t40K_s372001")
    parent = paper.model("add_d6_l2_h3_t15K_s372001")
    assert model.insertion.parent == parent
    assert ArithModel.from_json(model.to_json()) == model
    assert model.questions.shares == {"addition": 0.2, "subtraction": 0.8}
    assert INSERTION_MODES[model.insertion.mode][0] == "initialize only"


def test_batches_of_grokfast_models_mix_operations(paper):
    model = paper.model("mix_d10_l3_h4_t75K_gf_s173289")
    assert model.questions.mixing == "rows"
    assert model.schedule.grokfast.keep_average
    assert paper.model("mix_d10_l3_h4_t75K_s173289").questions.mixing == "batches"


def test_the_scale_as_coded_follows_the_published_code(catalog):
    coded = catalog.arith("as_coded")
    assert coded.accuracy().enrichment.batches == 0.4
    model = coded.model("ins1_mix_d10_l3_h3_t50K_gf_s572091")
    assert not model.insertion.complete
    assert not model.schedule.grokfast.keep_average


def test_a_changed_row_gives_a_model_of_another_name(load):
    assert "add_d5_l3_h3_t30K_s372001" in load(FIRST, "layers", "3").rows


def test_a_duplicate_row_is_rejected(load):
    with pytest.raises(
        InputError, match="4: duplicate model add_d5_l2_h3_t40K_s372001"
    ):
        load(1, "steps", "40000")


@pytest.mark.parametrize(
    ("row", "column", "text", "message"),
    [
        (FIRST, "digits", "five", "arith_models.tsv:2.digits: 'five' is not a whole"),
        (FIRST, "layers", "0", "tsv:2.layers: '0' is not a whole number >= 1"),
        (FIRST, "grokfast", "", "tsv:2: grokfast is missing; keys are operation"),
        (FIRST, "grokfast", "maybe", "tsv:2.grokfast: 'maybe' is not yes or no"),
        (FIRST, "membership", "stated\tx", "tsv:2: more cells than columns"),
        (FIRST, "operation", "mul", "tsv:2: unknown operation 'mul'; known names are"),
        (FIRST, "membership", "sure", "2.membership: 'sure' is not one of"),
        (FIRST, "insert", "1", "set both parent and insert, or neither"),
        (INSERTED, "insert", "4", "insert: '4' is not one of 1, 2, 3"),
        (INSERTED, "parent", "add_d6", "unknown parent 'add_d6'; known names are"),
        (INSERTED, "digits", "7", "7 digits, but the parent add_d6.* has 6"),
        (INSERTED, "layers", "1", "1 layers, but the parent add_d6.* has 2"),
        (INSERTED, "heads", "2", "2 heads, but the parent add_d6.* has 3"),
        (
            INSERTED,
            "parent",
            "ins1_mix_d6_l3_h3_t40K_s572091",
            "ins1_mix_d6_l3_h3_t40K_s572091: cycle of parents",
        ),
    ],
)
def test_an_invalid_row_is_rejected(load, row, column, text, message):
    with pytest.raises(InputError, match=message):
        load(row, column, text)


def test_an_unknown_model_is_rejected(paper):
    with pytest.raises(InputError, match="unknown model 'add_d5'; known names are add"):
        paper.model("add_d5")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("arith", "schedule", "batch"),
            0,
            "arith.schedule.batch: 0 is not a whole",
        ),
        (("arith", "operations", "mix"), {"addition": 0.5}, "the sum is not 1"),
        (("arith", "operations", "add"), {"sum": 1.0}, "unknown operation 'sum'"),
        (("arith", "grokfast", "mixing"), "columns", "unknown mixing 'columns'"),
        (
            ("scales", "demo", "arith"),
            {"network": {"deep": 1}},
            "demo.arith.network: unknown key",
        ),
    ],
)
def test_invalid_settings_are_rejected(path, value, message):
    config = copy.deepcopy(strict_yaml.read("config/config.yaml"))
    *outer, last = path
    place = config
    for key in outer:
        place = place[key]
    place[last] = value
    with pytest.raises(InputError, match=message):
        Catalog(config)
