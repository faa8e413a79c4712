"""Settings of every test: property tests draw the same examples everywhere, so that green stays green.

``HYPOTHESIS_PROFILE=explore`` draws new ones.
"""

import os

import pytest
from hypothesis import settings

import twofold as tw
from twofold.cli import main
from twofold.errors import TwofoldError
from twofold.testing import planted_log

settings.register_profile("settled", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "settled"))


@pytest.fixture
def real():
    """Return a loader of real data sets that skips where TWOFOLD_DATA does not hold them."""

    def load(name):
        if not os.environ.get("TWOFOLD_DATA"):
            pytest.skip("TWOFOLD_DATA is not set")
        try:
            return tw.datasets.load(name)
        except TwofoldError as error:
            pytest.skip(f"{name} cannot be had here: {error}")

    return load


@pytest.fixture(scope="session")
def log_file(tmp_path_factory):
    """A small log as its owner would have it."""
    path = tmp_path_factory.mktemp("log") / "ratings.csv"
    planted_log().frame("interactions").write_csv(path)
    return path


@pytest.fixture
def run(capsys):
    """Run a command; return its exit code, standard output and standard error."""

    def call(*arguments):
        code = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call
