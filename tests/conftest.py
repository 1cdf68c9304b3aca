"""Fixtures: data by seed, and where the larger real data sets are."""

import os
from pathlib import Path

import numpy as np
import pytest
from problems import make_data

from fastreg import costs


@pytest.fixture
def data():
    """X, y and weights of a small problem with one solution."""
    return make_data(seed=0)


@pytest.fixture
def rng():
    """A seeded generator."""
    return np.random.default_rng(0)


@pytest.fixture(params=["known", "lockstep", "apart"])
def mode(request, monkeypatch):
    """Moments of the folds from sums over the rows (dense X only), folds in lockstep, or one by one."""
    if request.param == "lockstep":
        monkeypatch.setattr(costs, "GRAM_RATE", 1e-9)
        monkeypatch.setattr(costs, "LEAST_SHARED", 0)
    if request.param == "apart":
        monkeypatch.setattr(costs, "MOST_PARTS", 0)
    return request.param


@pytest.fixture(scope="session")
def data_folder():
    """FASTREG_DATA, or ../shared/data beside the repository; the test is skipped without one."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FASTREG_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data folder {folder}")
    return folder
