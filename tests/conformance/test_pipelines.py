"""A pipeline passes the suite that every model passes."""

import pytest

import twofold as tw
from twofold.testing import CHECKS

PARTS = [tw.models.IALS(factors=6), tw.models.EASE()]
PIPELINES = {
    "merged": tw.Pipeline(candidates=PARTS),
    "ranked": tw.Pipeline(candidates=PARTS, ranker=tw.models.IALS(factors=3)),
    "varied": tw.Pipeline(candidates=PARTS, ranker=tw.models.EASE(), diversity=0.3),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_conformance(name, check):
    check(PIPELINES[name])
