import pytest
import torch

from mathprobe.catalog import Catalog
from mathprobe.spec import Model

CONFIG = "config/config.yaml"

torch.set_num_threads(1)  # more threads are slower on tiny tensors


@pytest.fixture(scope="session")
def catalog():
    """The catalog of the shipped configuration."""
    return Catalog.load(CONFIG)


@pytest.fixture(scope="session")
def smoke_model(catalog) -> Model:
    """The smallest model of the configuration."""
    return catalog.model("smoke", "eigenvalues", "laplace", 2, "base")
