import pytest
import torch

from mathprobe.catalog import Catalog
from mathprobe.spec import Model

CONFIG = "config/config.yaml"

torch.set_num_threads(1)  # more threads are slower for tiny tensors


@pytest.fixture(scope="session")
def catalog():
    """The catalog of the default configuration."""
    return Catalog.load(CONFIG)


@pytest.fixture(scope="session")
def smoke_model(catalog) -> Model:
    """A model of the smoke scale, the smallest one."""
    return catalog.model("smoke", "eigenvalues", "laplace", 2, "base")
