"""The training data of the paper are those of the table `data_digests.csv`.

`mathprobe digests paper tests/data_digests.csv` writes the table.
"""

from pathlib import Path

import pandas as pd
import pytest

from mathprobe.studies import data_digests

TABLE = Path(__file__).parent / "data_digests.csv"


@pytest.fixture(scope="module")
def found(catalog):
    rows = data_digests.table(catalog, "paper")
    return pd.DataFrame(rows, columns=data_digests.COLUMNS)


@pytest.fixture(scope="module")
def stored():
    return pd.read_csv(TABLE)


def test_every_model_and_seed_draws_the_stored_data(found, stored):
    pd.testing.assert_frame_equal(found, stored)


def test_each_seed_of_a_model_has_its_own_data(stored):
    assert not stored.duplicated(["model", "input"]).any()
