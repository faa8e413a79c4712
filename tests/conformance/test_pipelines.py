"""A pipeline passes the suite that every model passes, where a list is what its ranker says of the catalogue."""

import pytest

import twofold as tw
from twofold.testing import CHECKS

PARTS = [tw.models.IALS(factors=6), tw.models.EASE()]
PIPELINES = {
    "merged": tw.Pipeline(candidates=PARTS),
    "ranked": tw.Pipeline(candidates=PARTS, ranker=tw.models.IALS(factors=3)),
    "varied": tw.Pipeline(candidates=PARTS, ranker=tw.models.EASE(), diversity=0.3),
}
# A fused score and the place of a varied item depend on what else is in the list.
ELSEWISE = {
    "merged": {"check_allow_and_deny"},
    "varied": {"check_allow_and_deny", "check_scores_are_inner_products"},
}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, id=f"{name}-{check.__name__}")
        for name in PIPELINES
        for check in CHECKS
        if check.__name__ not in ELSEWISE.get(name, ())
    ],
)
def test_conformance(name, check):
    check(PIPELINES[name])
