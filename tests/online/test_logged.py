"""A server's log becomes rows, and the rows tell what another policy would have earned."""

import numpy as np
import polars as pl
import pytest

from twofold.errors import DataError
from twofold.online.explore import plackett_luce, plackett_luce_propensities
from twofold.online.logged import places_of
from twofold.online.logs import event_log, exposure_log
from twofold.online.off_policy import estimate
from twofold.online.outcomes import ClickThrough

OLD, NEW = [0.0, 0.5, 1.0, 0.2], [1.0, 0.5, 0.0, 0.2]
WORTH = np.array([0.5, 0.3, 0.1, 0.2])


def served(n=4000):
    rng = np.random.default_rng(0)
    shown, done = [], []
    for at in range(n):
        drawn = plackett_luce(OLD, 2, temperature=1.0, rng=rng)
        items = [f"i{one}" for one in drawn.places]
        shown.append((f"u{at % 500}", "a", at * 60.0, f"r{at}", items, drawn.propensities.tolist()))
        for one in drawn.places:
            if rng.random() < WORTH[one]:
                done.append((f"u{at % 500}", "click", at * 60.0 + 5, f"r{at}", f"i{one}"))
    exposures = pl.DataFrame(shown, schema=["unit", "variant", "time", "request", "items", "propensities"], orient="row")  # fmt: skip
    events = pl.DataFrame(done, schema=["unit", "kind", "time", "request", "item"], orient="row")
    return exposure_log(exposures).frame, event_log(events).frame


def test_the_log_of_one_policy_tells_the_value_of_another():
    exposures, events = served()
    rows = places_of(exposures, events, ClickThrough())
    assert len(rows) == 2 * len(exposures)
    assert rows["reward"].sum() == len(events)
    first = rows.filter(pl.col("place") == 0)
    code = first["item"].str.tail(1).cast(pl.Int64).to_numpy()
    target = np.exp(NEW) / np.exp(NEW).sum()
    found = estimate(first["reward"], first["chance"], target[code], unit=first["unit"])
    assert found.low < target @ WORTH < found.high
    assert found.units == 500
    # The second place, by the product of both.
    lists = rows["item"].str.tail(1).cast(pl.Int64).to_numpy().reshape(-1, 2)
    q = np.array([plackett_luce_propensities(NEW, one, temperature=1.0).prod() for one in lists])
    second = rows.filter(pl.col("place") == 1)
    truth = sum(
        plackett_luce_propensities(NEW, [a, b], temperature=1.0).prod() * WORTH[b]
        for a in range(4)
        for b in range(4)
        if a != b
    )
    found = estimate(second["reward"], second["chance"], q, unit=second["unit"])
    assert found.low < truth < found.high


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"propensities": [[0.5]]}, "not one propensity for each item in 1 rows"),
        ({"propensities": [None]}, "not one propensity for each item"),
        ({"propensities": [[0.5, 0.0]]}, "propensity of item 'y' for unit 'u' is 0.0"),
        ({"propensities": [[0.5, 1.5]]}, "is 1.5"),
        ({"items": [None]}, "not one propensity for each item"),
    ],
)
def test_chances_that_cannot_be_are_refused(change, said):
    base = {"unit": ["u"], "variant": ["a"], "time": [0], "items": [["x", "y"]], "propensities": [[0.5, 0.5]]}  # fmt: skip
    schema = {"items": pl.List(pl.String), "propensities": pl.List(pl.Float64)}
    shown = exposure_log(pl.DataFrame({**base, **change}, schema_overrides=schema)).frame
    done = event_log(pl.DataFrame({"unit": ["u"], "kind": ["click"], "time": [1]})).frame
    with pytest.raises(DataError, match=said):
        places_of(shown, done, ClickThrough())
    with pytest.raises(DataError, match="have no propensities"):
        places_of(shown.drop("propensities"), done, ClickThrough())
