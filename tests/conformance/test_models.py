"""Every model passes the suite that twofold ships for users' own models."""

import pytest

import twofold as tw
from twofold.testing import CHECKS

# Settings that fit the planted log in well under a second; everything else is the default.
SMALL = {
    "BPMF": {"factors": 3},
    "BPR": {"factors": 6},
    "BiasedMF": {"factors": 4},
    "CDL": {"factors": 4, "hidden": (8,), "epochs": 6, "content": "title"},
    "CTR": {"factors": 4, "epochs": 10, "content": "title"},
    "EASE": {},
    "FM": {"factors": 4, "learner": {"method": "mcmc", "burn_in": 20, "samples": 20}},
    "IALS": {"factors": 6},
    "ItemKNN": {},
    "PMF": {"factors": 4},
    "Popularity": {},
}


def test_no_model_is_left_out():
    assert sorted(SMALL) == sorted(tw.models.__all__)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_conformance(name, check):
    check(getattr(tw.models, name)(**SMALL[name]))
