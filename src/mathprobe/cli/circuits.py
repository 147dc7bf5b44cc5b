"""The command `map`: the circuit of a decoder, its figures and its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mathprobe import files
from mathprobe.cli.app import CONFIG, USER, Device, Threads, command
from mathprobe.errors import InputError

if TYPE_CHECKING:
    from mathprobe.studies.circuits import Circuit

TEMPLATE, PAGE = Path("paper/templates/circuit.html.j2"), "circuit.html"


@command(USER)
def map(
    model: Path,
    /,
    *,
    digits: int | None = None,
    operations: tuple[str, ...] = (),
    config: Path | None = None,
    out: Path | None = None,
    scale: str = "paper",
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Analyse and draw the circuit of a decoder that adds and subtracts.

    The decoder may be trained elsewhere, with TransformerLens.  A question of two
    digits is `47+38=+085`, and the ids of `0123456789+-=` are 0 to 12.

    Parameters
    ----------
    model
        Weights, or the folder of a model of this package; or a state dict with the
        names of TransformerLens.
    digits
        Digits per operand.  Default: those of the training, if this package trained it.
    operations
        Operations of the questions: add, sub, or both.  Default: as for `digits`.
    config
        JSON file of the fields of HookedTransformerConfig, for a model of
        TransformerLens.
    out
        Output folder.  Default: maps/NAME, with the name of the model or of its file.
    scale
        Scale whose settings are used: `arith.circuits` and `arith.enrichment`.
    """
    from mathprobe.cli import maps
    from mathprobe.cli.device import set_up_torch

    place = set_up_torch(device, threads)
    name, seed, circuit = _analysis(model, config, digits, operations, scale, place)
    folder = out or Path("maps", name)
    maps.write(circuit, name, seed, folder / "facts")
    _draw(folder, name, circuit.digits)
    print(f"facts, figures and {PAGE} are in {folder}")


def _analysis(
    model: Path,
    config: Path | None,
    digits: int | None,
    operations: tuple[str, ...],
    scale: str,
    device: str,
) -> tuple[str, int, Circuit]:
    """Return the name and the seed of a model, and its analysis; see `map`."""
    from msgspec import structs

    from mathprobe import checkpoint
    from mathprobe.catalog import Catalog
    from mathprobe.nets.lens import from_state_dict
    from mathprobe.spec import Questions
    from mathprobe.studies.arith import models
    from mathprobe.studies.circuits import Circuit

    arith = Catalog.load(CONFIG).arith(scale)
    shares = arith.equal_shares(operations)
    if config is None:
        trained, network = models.load(checkpoint.find_weights(model), device)
        name, seed, known = trained.name, trained.seed, trained.questions
        asked = {"digits": digits or known.digits, "shares": shares or known.shares}
        questions = structs.replace(known, **asked)
    elif digits is None or not shares:
        raise InputError("a model of --config needs --digits and --operations")
    else:
        name, seed = model.stem, 0
        network = from_state_dict(model, config).to(device)
        questions = Questions(digits, shares, "batches", arith.settings.enrichment)
    return name, seed, Circuit(questions, network, arith.circuits())


def _draw(folder: Path, name: str, digits: int) -> None:
    """Write the page and the figures of the analysis in the folder `facts`."""
    from mathprobe.cli.drawing import arith_draw
    from mathprobe.interp.facts import Facts
    from mathprobe.paper import circuit_figures, figures, quanta, tables

    facts = folder / "facts"
    arith_draw(facts, folder / PAGE, name=name, digits=digits, template=TEMPLATE)
    nodes = Facts.load(facts / "nodes.csv")
    panels = files.load_arrays(facts / "panels.npz")
    positions = tables.read(facts / "positions.csv")
    drawn = {
        **{kind: quanta.draw(kind, nodes, digits) for kind in quanta.MAPS},
        "positions": circuit_figures.positions(positions),
        "pca": circuit_figures.pca_scatter(panels, nodes),
    }
    for kind, figure in drawn.items():
        figures.save(figure, folder / "figures" / kind)
