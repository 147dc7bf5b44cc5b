from collections.abc import Iterator

import pytest
from cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A real Slurm cluster for all tests of a session."""
    with Cluster(tmp_path_factory.mktemp("slurm") / "cluster", gpus=8) as started:
        yield started
