"""Assignment: shares, layers, ramps, and who moves when weights change."""

import hashlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import ConfigError
from twofold.online.assign import assign, assign_many, draw, variant_of
from twofold.online.experiments import from_dict, read

UNITS = [f"u{at}" for at in range(20_000)]


def one(name="ranker", **more):
    table = {"variants": {"control": {}, "new": {}}, **more}
    return from_dict({"experiments": {name: table}})[name]


def test_a_draw_is_the_documented_hash():
    told = b""
    for part in (b"salt", "ü".encode()):
        told += len(part).to_bytes(8, "big") + part
    word = int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big")
    assert draw("salt", "ü") == (word >> 11) / 2**53


def test_a_variant_is_the_documented_race():
    made = one(variants={"control": {"weight": 1}, "x": {"weight": 2}, "y": {"weight": 0.5}})
    weights = {"control": 1.0, "x": 2.0, "y": 0.5}
    for unit in UNITS[:300]:
        waits = {v: -math.log1p(-draw("", "variant", "ranker", v, unit)) / w for v, w in weights.items()}  # fmt: skip
        assert variant_of(made, unit, 0.0) == min(waits, key=waits.get)


def test_the_assignment_of_today_is_that_of_tomorrow():
    """Literal values: a change of the scheme would reassign everybody in running experiments."""
    made = one()
    assert [variant_of(made, f"user {at}", 0.0) for at in range(8)] == assign_many(made, [f"user {at}" for at in range(8)], 0.0)  # fmt: skip
    assert draw("", "layer", "default", "user 7") == pytest.approx(LAYER_OF_USER_7, abs=1e-15)


LAYER_OF_USER_7 = 0.47097769377663523


@pytest.mark.parametrize("weights", [(1, 1), (9, 1), (1, 2, 3), (0.01, 0.02)])
def test_shares_are_the_weights(weights):
    names = ["control", "b", "c"][: len(weights)]
    made = one(variants={n: {"weight": w} for n, w in zip(names, weights)})
    found = assign_many(made, UNITS, 0.0)
    for name, weight in zip(names, weights):
        share = weight / sum(weights)
        error = math.sqrt(share * (1 - share) / len(UNITS))
        assert abs(found.count(name) / len(UNITS) - share) < 4 * error


def test_when_a_weight_grows_units_move_to_that_variant_alone_and_no_more_than_needed():
    names = ["control", "b", "c"]
    old = one(variants={n: {"weight": 1} for n in names})
    new = one(variants={"control": {"weight": 1}, "b": {"weight": 2}, "c": {"weight": 1}})
    pairs = list(zip(assign_many(old, UNITS, 0.0), assign_many(new, UNITS, 0.0)))
    moved = [pair for pair in pairs if pair[0] != pair[1]]
    assert {after for _, after in moved} == {"b"}
    assert len(moved) / len(UNITS) == pytest.approx(1 / 2 - 1 / 3, abs=0.012)


def test_when_a_variant_goes_its_units_alone_move():
    names = ["control", "b", "c"]
    old = one(variants={n: {} for n in names})
    new = one(variants={n: {} for n in names[:2]})
    for before, after in zip(assign_many(old, UNITS, 0.0), assign_many(new, UNITS, 0.0)):
        assert before == after or before == "c"


def test_layers_do_not_interfere_and_one_layer_is_shared_without_overlap():
    made = from_dict(
        {
            "experiments": {
                "a": {"variants": {"control": {}, "x": {}}, "layer": "1", "share": 0.5},
                "b": {"variants": {"control": {}, "x": {}}, "layer": "1", "share": 0.3},
                "c": {"variants": {"control": {}, "x": {}}, "layer": "2"},
            }
        }
    )
    found = [dict(assign(made, 0.0, user=unit)) for unit in UNITS]
    assert not any("a" in got and "b" in got for got in found)
    assert sum("a" in got for got in found) / len(UNITS) == pytest.approx(0.5, abs=0.015)
    assert sum("b" in got for got in found) / len(UNITS) == pytest.approx(0.3, abs=0.015)
    both = [(got["a"], got["c"]) for got in found if "a" in got]
    counts = [both.count(pair) for pair in itertools.product(["control", "x"], repeat=2)]
    expected = len(both) / 4
    assert (
        sum((n - expected) ** 2 / expected for n in counts) < 16.27
    )  # chi-square, 3 degrees, 0.001


def test_a_ramp_only_adds_people_and_keeps_their_variant():
    made = one(ramp=[{"at": 100, "share": 0.1}, {"at": 200, "share": 0.5}, {"at": 300}])
    times = [assign_many(made, UNITS, at) for at in (50, 150, 250, 350)]
    shares = [sum(got is not None for got in found) / len(UNITS) for found in times]
    assert shares == pytest.approx([0, 0.1, 0.5, 1], abs=0.015)
    for early, late in itertools.pairwise(times):
        assert all(a is None or a == b for a, b in zip(early, late))


def test_start_and_stop_bound_the_time():
    made = one(start="2026-11-01", stop="2026-11-02T00:00:00Z")
    begin = 1793491200.0
    assert variant_of(made, "u", begin - 1) is None
    assert variant_of(made, "u", begin) is not None
    assert variant_of(made, "u", begin + 86400) is None


def test_another_salt_draws_anew_and_so_does_another_name():
    base = assign_many(one(), UNITS, 0.0)
    for other in (one(salt="x"), one("other")):
        same = np.mean([a == b for a, b in zip(base, assign_many(other, UNITS, 0.0))])
        assert same == pytest.approx(0.5, abs=0.015)


@given(unit=st.text(min_size=1) | st.integers(), time=st.floats(-1e12, 1e12))
def test_an_assignment_is_a_function_of_the_unit(unit, time):
    made = one()
    first = variant_of(made, unit, time)
    assert first in ("control", "new")
    assert first == variant_of(made, str(unit), 0.0)


@pytest.mark.parametrize("bad", ["", True, 1.5, None, b"x"])
def test_a_unit_that_is_no_id_is_refused(bad):
    with pytest.raises(ConfigError, match="a unit is a text"):
        variant_of(one(), bad, 0.0)


def test_a_time_that_is_not_finite_and_nobody_at_all_are_refused():
    with pytest.raises(ConfigError, match="time must be seconds"):
        variant_of(one(), "u", math.nan)
    with pytest.raises(ConfigError, match="got neither"):
        assign(from_dict({"experiments": {"a": {"variants": {"control": {}, "x": {}}}}}), 0.0)


def test_sessions_and_users_are_assigned_each_by_their_id():
    made = from_dict(
        {
            "experiments": {
                "by_user": {"variants": {"control": {}, "x": {}}, "layer": "1"},
                "by_session": {"variants": {"control": {}, "x": {}}, "layer": "2", "unit": "session"},
            }
        }
    )  # fmt: skip
    assert [got.experiment for got in assign(made, 0.0, session="s")] == ["by_session"]
    assert [got.experiment for got in assign(made, 0.0, user="u")] == ["by_user"]


BAD = [
    ({"salt": 3, "experiments": {"a": {"variants": {"control": {}, "x": {}}}}}, "salt must be a text"),
    ({"experiments": {"a": {"variants": ["control", "x"]}}}, "must hold a table each"),
    ({"experiments": {"a": {"variants": {"control": 1, "x": {}}}}}, "must be a table of keys"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "ramp": 0.5}}}, "must be a list of steps"),
    ({"experiment": {}}, "no key 'experiment'.*did you mean 'experiments'"),
    ({}, "needs an experiment"),
    ({"experiments": {"a": 3}}, r"\[experiments.a\] must be a table"),
    ({"experiments": {"a": {"variants": {"control": {}}}}}, "at least two variants"),
    ({"experiments": {"a": {"variants": {"contrl": {}, "x": {}}}}}, "did you mean 'contrl'"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {"wieght": 1}}}}}, "did you mean 'weight'"),
    ({"experiments": {"a": {"variant": {}}}}, "did you mean 'variants'"),
    ({"experiments": {"a": {"variants": {"control": {"weight": 0}, "x": {}}}}}, "greater than 0"),
    ({"experiments": {"a": {"variants": {"control": {"weight": math.inf}, "x": {}}}}}, "finite"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "share": 1.5}}}, "less than or equal to 1"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "start": 5, "stop": 5}}}, "stop must be after start"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "start": 1793491200000}}}, "before the year 10000"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "test": "fixed"}}}, "declare stop"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "metrics": {}}}}, "needs a metric"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "metrics": {"m": {"kind": "click_thru"}}}}}, "did you mean 'click_through'"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}, "y": {}}, "method": "team_draft"}}}, "exactly two variants"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "ramp": [{"at": 2}, {"at": 1}]}}}, "in order of time"),
    ({"experiments": {"a": {"variants": {"control": {}, "x": {}}, "ramp": [{"at": 1, "share": 1}, {"at": 2, "share": 0.5}]}}}, "must not fall"),
    ({"experiments": {n: {"variants": {"control": {}, "x": {}}, "share": 0.6} for n in "ab"}}, "does not fit into layer"),
    ({"experiments": {n: {"variants": {"control": {}, "x": {}}, "share": 0.6, "place": 0.2} for n in "ab"}}, "overlap in layer"),
    ({"experiments": {n: {"variants": {"control": {}, "x": {}}, "share": 0.4, "unit": u} for n, u in zip("ab", ["user", "session"])}}, "layers of their own"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "said"), BAD)
def test_a_wrong_declaration_is_one_sentence(table, said):
    with pytest.raises(ConfigError, match=said):
        from_dict(table)


def test_a_file_is_read_and_what_was_read_can_be_written_again(tmp_path):
    path = tmp_path / "exp.toml"
    path.write_text(
        """
[experiments.ranker]
start = 2026-11-01T00:00:00Z
share = 0.5
ramp = [{ at = 2026-11-01, share = 0.1 }, { at = 2026-11-03T12:00:00Z }]
metrics.ctr = { kind = "click_through", window_hours = 2 }
[experiments.ranker.variants]
control = { weight = 1 }
new = { weight = 1, model = "runs/ship" }
"""
    )
    made = read(path)
    again = from_dict(made.as_dict())
    assert again.as_dict() == made.as_dict()
    assert assign_many(again["ranker"], UNITS[:100], 2e9) == assign_many(made["ranker"], UNITS[:100], 2e9)  # fmt: skip
    with pytest.raises(ConfigError, match="did you mean 'ranker'"):
        made["rankr"]
    for written in ("5", "'5'"):
        (tmp_path / "number.toml").write_text(f"[experiments.r.variants]\ncontrol = {{}}\nnew = {{ model = {written} }}")  # fmt: skip
        assert read(tmp_path / "number.toml")["r"].experiment.variants["new"].model == "5"
    with pytest.raises(ConfigError, match="model"):
        from_dict({"experiments": {"r": {"variants": {"control": {}, "new": {"model": True}}}}})
    with pytest.raises(ConfigError, match="did you mean"):
        read(tmp_path / "exp.tml")
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ConfigError, match="must be a table; got list"):
        read(tmp_path / "list.json")
    path.write_text("= 3")
    with pytest.raises(ConfigError, match="holds no experiments"):
        read(path)
