"""Commands that analyse circuits, draw them and compare them."""

import csv

import pytest
import torch
from synthetic import ARITH_FILES
from test_circuits import SETTINGS, circuit, record
from test_cli import refused, run
from wired import gelu

from mathprobe import checkpoint, files
from mathprobe.catalog.arith import MAP_FILES
from mathprobe.cli import device
from mathprobe.interp.facts import Facts
from mathprobe.nets.lens import weights
from mathprobe.paper import quanta
from mathprobe.spec import CircuitSearch
from mathprobe.studies.arith import models
from mathprobe.studies.arith_facts import is_found

TEMPLATE = "paper/templates/circuit.html.j2"


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def known():
    return circuit("addition", 2)


@pytest.fixture(scope="module")
def mapped(known, tmp_path_factory):
    """A folder with the map and the page of a model whose circuit is known."""
    folder = tmp_path_factory.mktemp("wired")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load", lambda path, device: (record(known), known.model))
        patch.setattr(device, "set_up_torch", lambda device, threads: "cpu")
        run("arith_map", folder / "model", SETTINGS.to_json(), folder / "facts")
    named = "--name", "wired", "--digits", 2, "--template", TEMPLATE
    run("arith_draw", folder / "facts", folder / "circuit.html", *named)
    return folder


def test_a_map_has_all_files_and_facts(mapped, known):
    assert {path.name for path in (mapped / "facts").iterdir()} == set(MAP_FILES)
    assert list(Facts.load(mapped / "facts/nodes.csv")) == list(known.facts)
    claims = table(mapped / "facts/claims.csv")
    assert {row["holds"] for row in claims} == {"True"}
    arrays = files.load_arrays(mapped / "facts/panels.npz")
    assert set(arrays) == {
        "case",
        *(f"{node.name}.{name}.{k}" for node, name, k in known.pca_results),
    }
    assert arrays["P07L0H0.addition.1"].shape == (len(arrays["case"]), 2)
    tags = [item["tags"] for item in files.read_json(mapped / "facts/features.json")]
    assert ["Algo:A1.SA"] in tags


def test_a_page_has_the_sub_tasks_of_nodes(mapped):
    assert "A1.SA 100.0 %" in (mapped / "circuit.html").read_text()


def test_an_identical_child_reuses_all_nodes(mapped, tmp_path):
    nodes = mapped / "facts/nodes.csv"
    run("arith_reuse", nodes, nodes, tmp_path / "reuse.csv")
    reuse = {row["quantity"]: row for row in table(tmp_path / "reuse.csv")}
    assert reuse["inserted nodes in use"]["count"] == "8"


def test_maps_are_summarised_in_one_table(mapped, tmp_path):
    model = {"name": mapped.name, "operation": "add", "digits": 2, "parent": None}
    files.write_json(tmp_path / "facts.json", {"arith": {"models": [model]}})
    options = "--published", *ARITH_FILES, "--models", mapped
    table_of = "arith_table", "circuits", tmp_path / "all.csv"
    run(*table_of, "--facts", tmp_path / "facts.json", *options)
    rows = {row["quantity"]: row for row in table(tmp_path / "all.csv")}
    assert {row["model"] for row in rows.values()} == {mapped.name}
    assert rows["heads with a purpose"]["count"] == "5"
    assert rows["mlps with a purpose"]["total"] == "3"
    clauses = rows["clauses of addition of one layer"]
    assert (clauses["count"], clauses["total"]) == ("3", "3")


def test_the_map_of_an_untrained_model_is_empty(catalog, tmp_path, capsys):
    small = catalog.arith("smoke")
    name = next(iter(small.rows))
    spec = small.model(name)
    network = models.build(spec)
    path = tmp_path / "model.safetensors"
    checkpoint.save_model(path, {spec.seed: network}, {"spec": spec.to_dict()})
    run("arith_map", path, small.circuits().to_json(), tmp_path / "facts")
    assert f"{name} answers no question correctly" in capsys.readouterr().out
    assert Facts.load(tmp_path / "facts/nodes.csv").nodes == []
    named = "--name", name, "--digits", 2, "--template", TEMPLATE
    run("arith_draw", tmp_path / "facts", tmp_path / "circuit.html", *named)
    assert not any(
        row["count"] != "0" for row in table(tmp_path / "facts/controls.csv")
    )


def test_the_scale_as_coded_uses_means_of_the_first_layer(catalog):
    assert not catalog.arith("paper").circuits().first_layer_means
    assert catalog.arith("as_coded").circuits().first_layer_means
    assert (
        CircuitSearch.from_json(catalog.arith("smoke").circuits().to_json()).pairs == 16
    )


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """The weights of a decoder with GELU in the names of TransformerLens."""
    folder = tmp_path_factory.mktemp("foreign")
    model = gelu("addition", 2)
    torch.save({k: w.clone() for k, w in weights(model)}, folder / "gelu.pt")
    own = model.config
    fields = {
        **{"d_model": own.width, "d_head": own.head_width, "n_heads": own.heads},
        **{"n_layers": 1, "n_ctx": 10, "d_vocab": 15, "act_fn": "gelu"},
    }
    files.write_json(folder / "config.json", fields)
    return folder


def found(facts):
    return {(fact.node.name, fact.name, fact.label) for fact in facts if is_found(fact)}


def test_a_foreign_model_is_mapped_and_drawn(foreign, known, tmp_path, capsys):
    asked = "--config", foreign / "config.json", "--digits", 2, "--operations", "add"
    run("map", foreign / "gelu.pt", *asked, "--out", tmp_path, "--device", "cpu")
    assert capsys.readouterr().out.endswith(f"are in {tmp_path}\n")
    assert {path.name for path in (tmp_path / "facts").iterdir()} == set(MAP_FILES)
    assert found(Facts.load(tmp_path / "facts/nodes.csv")) == found(known.facts)
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    names = (*quanta.MAPS, "positions", "pca")
    assert drawn == {f"{name}.{kind}" for name in names for kind in ("pdf", "svg")}
    assert "A1.SA 100.0 %" in (tmp_path / "circuit.html").read_text()
    assert "Circuit of gelu" in (tmp_path / "circuit.html").read_text()


def test_a_foreign_model_needs_its_configuration_and_the_questions(foreign, tmp_path):
    weights = foreign / "gelu.pt"
    assert "use mathprobe.nets.lens.from_state_dict" in refused("map", weights)
    asked = "map", weights, "--config", foreign / "config.json"
    assert "needs --digits and --operations" in refused(*asked, "--digits", 2)
    other = *asked, "--digits", 2, "--operations", "addition"
    assert "'addition'; known names are add, sub, mix" in refused(*other)
    long = *asked, "--digits", 3, "--operations", "add"
    assert "questions of 3 digits need 12" in refused(*long)


def test_a_model_of_this_package_knows_its_questions(catalog, tmp_path):
    small = catalog.arith("smoke")
    spec = small.model(next(iter(small.rows)))
    path = tmp_path / "model.safetensors"
    checkpoint.save_model(
        path, {spec.seed: models.build(spec)}, {"spec": spec.to_dict()}
    )
    run("map", tmp_path, "--out", tmp_path / "map", "--scale", "smoke")
    assert Facts.load(tmp_path / "map/facts/nodes.csv").nodes == []
    assert (tmp_path / "map/circuit.html").exists()


def test_a_missing_model_or_one_of_the_first_study_is_refused(tmp_path):
    missing = tmp_path / "model.safetensors"
    assert f"{missing} is missing: train it" in refused("map", tmp_path)
    checkpoint.save_model(missing, {}, {"spec": {"data": {}}})
    assert "an encoder-decoder, not a decoder that adds" in refused("map", tmp_path)
