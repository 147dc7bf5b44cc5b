import browser
import pytest
import torch

from mathprobe.catalog import Catalog
from mathprobe.spec import Model
from workflow import SMOKE, Workflow

CONFIG = "config/config.yaml"

torch.set_num_threads(1)  # more threads are slower for tiny tensors


def pytest_collection_finish(session):
    """Report before the first test that tests in a browser will be skipped."""
    needed = any(item.get_closest_marker("browser") for item in session.items)
    if needed and browser.PROGRAM is None:
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        terminal.write_line(browser.MISSING)


@pytest.fixture(scope="session")
def catalog():
    """The catalog of the default configuration."""
    return Catalog.load(CONFIG)


@pytest.fixture(scope="session")
def smoke_model(catalog) -> Model:
    """A model of the smoke scale, the smallest one."""
    return catalog.model("smoke", "eigenvalues", "laplace", 2, "base")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Workflow:
    """A copy of the project with the results of the smoke scale."""
    workflow = Workflow(tmp_path_factory.mktemp("smoke") / "copy")
    workflow.link_tex()
    done = workflow.snakemake("--cores", 2, "--show-failed-logs", *SMOKE)
    assert done.returncode == 0, done.stdout
    return workflow
