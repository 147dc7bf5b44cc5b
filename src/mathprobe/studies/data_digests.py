"""Digests of the training data of all models of a scale.

They show whether another machine or another version draws the same examples.  Labels
have canonical signs here, because LAPACK's signs depend on its build.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import structs

from mathprobe.catalog import Catalog
from mathprobe.paths import LINALG_NAME
from mathprobe.studies.arith.training import block_loader as arith_loader
from mathprobe.studies.linalg.training import block_loader as linalg_loader

COLUMNS = ("model", "seed", "input", "output")


def table(catalog: Catalog, scale: str) -> Iterator[dict[str, Any]]:
    """Yield the digests of the first block of data of each model and seed of a scale.

    The decoders of the second study have one sequence of tokens, so no `output`.
    """
    for name in catalog.all_models(scale):
        spec = structs.replace(catalog.model(scale, **name), signs="canonical")
        for seed in range(1, spec.seeds + 1):
            digests = linalg_loader(spec, seed, "cpu").digests()
            yield _row(LINALG_NAME.format(**name), seed, *digests)
    for decoder in catalog.arith(scale).rows:
        one = catalog.arith_model(scale, decoder)
        yield _row(decoder, one.seed, *arith_loader(one, "cpu").digests())


def _row(model: str, seed: int, *digests: str) -> dict[str, Any]:
    return dict(zip(COLUMNS, (model, seed, *digests), strict=False))
