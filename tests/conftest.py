"""Settings of every test: property tests draw the same examples everywhere, so that green stays green.

``HYPOTHESIS_PROFILE=explore`` draws new ones.
"""

import os

import pytest
from hypothesis import settings

import twofold as tw
from twofold.errors import TwofoldError

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
