"""The notebook on a model that was trained elsewhere."""

from synthetic import PROJECT

from mathprobe.paper import notebooks


def test_the_notebook_converts_a_model_and_draws_its_nodes(tmp_path):
    source = PROJECT / "paper/notebooks/foreign_model.py"
    template = PROJECT / "paper/templates/notebook.html.j2"
    given = {"updates": 20, "figures": str(tmp_path)}
    page = notebooks.execute(source, template, given, tmp_path / "failed.ipynb").html
    assert "questions in training: 1280" in page
    assert "largest difference between logits is below 0.0001: True" in page
    assert str(tmp_path) not in page
    names = ("patching", "patterns", "attribution", "purpose")
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == {f"foreign_{name}.svg" for name in names}
