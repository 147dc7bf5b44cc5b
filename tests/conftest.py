import pytest
import torch

from mathprobe import catalog
from mathprobe.spec import Model

CONFIG = "config/config.yaml"

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


@pytest.fixture(scope="session")
def books():
    """The catalog of the shipped configuration."""
    return catalog.load(CONFIG)


@pytest.fixture(scope="session")
def smoke_model(books) -> Model:
    """The smallest model that there is."""
    return books.model("smoke", "eigenvalues", "laplace", 2, "base")
