"""The report of an experiment: its numbers recomputed, its verdicts, its page, and its edges."""

import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from twofold.errors import ConfigError, DataError
from twofold.evaluation.uncertainty import holm
from twofold.online.ab_test import arm, compare_arms
from twofold.online.experiments import from_dict
from twofold.online.interleaving_report import report as interleaving_report
from twofold.online.report import deciding, faded, report
from twofold.online.sequential import always_valid_p
from twofold.online.track import LOOKS, Look, days

DAY = 86400.0
METRICS = {
    "ctr": {"kind": "click_through"},
    "conversion": {"kind": "conversion", "window_hours": 12},
}


def declared(**more):
    table = {"variants": {"control": {}, "new": {}}, "metrics": METRICS, "planned_units": 2000, **more}  # fmt: skip
    return from_dict({"experiments": {"ranker": table}})["ranker"]


def browsed(lift, n=1600, seed=0, variants=("control", "new"), n_days=4):
    """People arrive over some days, see two lists each, and click."""
    rng = np.random.default_rng(seed)
    first = np.sort(rng.random(n)) * n_days * DAY
    which = rng.integers(0, len(variants), n)
    shown, done = [], []
    for unit in range(n):
        for visit in range(2):
            time = first[unit] + visit * 60
            shown.append((f"u{unit}", variants[which[unit]], time))
            if rng.random() < 0.1 * (1 + lift * which[unit]):
                done.append((f"u{unit}", "click", time + 5))
                done.append((f"u{unit}", "purchase", time + 30))
    schema = {"unit": pl.String, "variant": pl.String, "time": pl.Float64}
    events = {"unit": pl.String, "kind": pl.String, "time": pl.Float64}
    return pl.DataFrame(shown, schema=schema, orient="row"), pl.DataFrame(done, schema=events, orient="row")  # fmt: skip


def test_the_numbers_are_those_of_the_logs():
    shown, done = browsed(0.8)
    found = report(declared(), shown, done)
    clicks = done.filter(pl.col("kind") == "click")
    clicked = {
        (unit, round(time - 5, 3)) for unit, time in clicks.select("unit", "time").iter_rows()
    }
    people = {}
    for unit, variant, time in shown.iter_rows():
        total, lists, _ = people.get(unit, (0, 0, ""))
        hit = (unit, round(time, 3)) in clicked
        people[unit] = (total + hit, lists + 1, variant)
    arms = [arm(*zip(*[(t, w) for t, w, v in people.values() if v == name])) for name in ("control", "new")]  # fmt: skip
    expected = compare_arms(*arms)
    (ctr, conversion) = found.comparisons
    assert ctr.lift.control == pytest.approx(expected.control, rel=1e-9)
    assert ctr.lift.standard_error == pytest.approx(expected.standard_error, rel=1e-9)
    assert found.units == {"control": len(arms[0].total), "new": len(arms[1].total)}
    assert [ctr.p_corrected, conversion.p_corrected] == holm([ctr.p_value, conversion.p_value])
    looks = ctr.looks
    assert ctr.p_value == looks[-1].p_value
    counting = next(one for one in looks if math.isfinite(one.low))
    assert counting.low < counting.difference < counting.high
    assert ctr.difference[1:] == (looks[-1].low, looks[-1].high)
    assert ctr.verdict == "better"
    assert "ctr, new against control: better" in found.headline


def test_the_last_look_is_the_sequential_test_of_all_looks():
    shown, done = browsed(0.3, seed=3)
    found = report(declared(metrics={"conversion": METRICS["conversion"]}), shown, done)
    (one,) = found.comparisons
    assert len(one.looks) == 4
    errors = [(look.high - look.low) for look in one.looks]
    assert errors == sorted(errors, reverse=True)
    last = one.lift
    alone = always_valid_p(last.difference.value, last.standard_error, last.size, tightest=2000)[0]
    assert one.p_value <= alone + 1e-12


def test_nothing_planted_shows_nothing_and_a_worse_one_is_worse():
    assert {one.verdict for one in report(declared(), *browsed(0.0, seed=1)).comparisons} == {"no difference shown"}  # fmt: skip
    assert report(declared(), *browsed(-0.8, seed=2)).comparisons[0].verdict == "worse"


def test_what_comes_later_is_not_looked_at():
    shown, done = browsed(0.8)
    early = shown.filter(pl.col("time") <= 2 * DAY), done.filter(pl.col("time") <= 2 * DAY)
    whole = report(declared(), shown, done, until=2 * DAY)
    assert whole.comparisons == report(declared(), *early, until=2 * DAY).comparisons
    assert sum(whole.units.values()) < sum(report(declared(), shown, done).units.values())


def test_the_order_of_rows_and_repeated_rows_do_not_matter():
    shown, done = browsed(0.5)
    shown = shown.with_row_index("request")
    done = done.with_row_index("event")
    base = report(declared(), shown, done)
    mixed = pl.concat([shown, shown[::3]]).sample(fraction=1, shuffle=True, seed=0)
    again = report(declared(), mixed, pl.concat([done[::2], done]).sample(fraction=1, shuffle=True, seed=1))  # fmt: skip
    assert again.comparisons == base.comparisons
    assert any("logged again" in one for one in again.notes)
    assert any("came again" in one for one in again.notes)


def test_a_ratio_that_is_wrong_takes_every_verdict_away():
    shown, done = browsed(0.8)
    some = shown.filter((pl.col("variant") == "control") | (pl.col("unit").str.tail(1) != "7"))
    some = some.filter((pl.col("variant") == "control") | (pl.col("unit").str.tail(1) != "3"))
    found = report(declared(), some, done)
    assert found.ratio_alarm
    assert {one.verdict for one in found.comparisons} == {"not to be believed"}
    assert "before any lift is believed" in found.headline


def test_a_fixed_test_waits_for_its_end():
    shown, done = browsed(0.8)
    before = report(declared(test="fixed", stop=10 * DAY), shown, done)
    assert before.comparisons[0].verdict.startswith("not yet")
    after = report(declared(test="fixed", stop=3 * DAY), shown, done)
    assert after.comparisons[0].verdict == "better"
    assert after.comparisons[0].p_value == after.comparisons[0].lift.p_value
    assert after.comparisons[0].relative == after.comparisons[0].lift.relative


def test_three_variants_are_corrected_together():
    shown, done = browsed(0.8, variants=("control", "new", "newer"), n=2400)
    found = report(declared(variants={"control": {}, "new": {}, "newer": {}}), shown, done)
    assert [(one.metric, one.treatment) for one in found.comparisons] == [
        (m, t) for m in METRICS for t in ("new", "newer")
    ]
    assert [one.p_corrected for one in found.comparisons] == holm([one.p_value for one in found.comparisons])  # fmt: skip


def test_too_few_units_say_so():
    found = report(declared(), *browsed(0.5, n=60))
    assert all(one.p_value == 1.0 for one in found.comparisons)
    assert "too few units" in found.headline
    assert "too few units" in found.to_html()


def test_a_window_that_nobody_has_passed_is_a_note():
    shown, done = browsed(0.5, n=50, n_days=0.1)
    found = report(declared(metrics={"back": {"kind": "retention"}}), shown, done)
    assert found.comparisons == ()
    assert "168 hours after its first exposure" in found.notes[0]
    assert "Nothing can be told of back yet" in found.headline
    assert "Nothing can be told" in found.to_html()


def test_people_who_hop_are_named():
    shown, done = browsed(0.5, n=400)
    hopping = shown[:40].with_columns(variant=pl.lit("new"), time=pl.col("time") + 1)
    found = report(declared(), pl.concat([shown, hopping]), done)
    assert any("more than one variant" in one and "stable" in one for one in found.notes)


def test_no_event_at_all_is_zero_and_no_difference():
    shown, done = browsed(0.5)
    found = report(declared(), shown, done.clear())
    assert {one.verdict for one in found.comparisons} == {"no difference shown"}
    assert all(math.isnan(one.relative.value) for one in found.comparisons)
    assert "+0 [" in found.headline or "too few units" in found.headline
    assert found.notes[0] == "ctr: no event of the kind 'click' was counted; the log has no event at all"  # fmt: skip


def test_a_kind_of_event_that_the_log_does_not_have_is_noted():
    """A site that calls its clicks cook was told 0 against 0, no difference."""
    shown, done = browsed(0.5)
    assert not report(declared(), shown, done).notes
    cook = done.with_columns(kind=pl.lit("cook"))
    found = report(declared(), shown, cook)
    assert found.notes == (
        "ctr: no event of the kind 'click' was counted; the log has cook: set metrics.ctr.event to what is meant",
        "conversion: no event of the kind 'purchase' was counted; the log has cook: set metrics.conversion.event to what is meant",
    )
    assert report(declared(), shown, done.clear(), kinds=["cook"]).notes == found.notes
    again = report(declared(metrics={"ctr": {"kind": "click_through", "event": "cook"}}), shown, cook)  # fmt: skip
    assert not again.notes
    mixed = shown.with_columns(items=pl.lit(["a"]), teams=pl.lit([0]))
    interleaved = interleaving_report(declared(method="team_draft"), mixed, cook)
    assert interleaved.notes == found.notes[:1] == tuple(interleaved.as_dict()["notes"])
    assert found.notes[0][:20] in interleaved.to_html()


def test_wrong_logs_are_one_sentence():
    shown, done = browsed(0.5, n=50)
    with pytest.raises(DataError, match="exposure log is empty"):
        report(declared(), shown.clear(), done)
    with pytest.raises(
        DataError, match=r"no unit saw one variant.*variants are \['control', 'new'\]"
    ):
        report(declared(variants={"p": {}, "q": {}}, control="p"), shown, done)
    with pytest.raises(ConfigError, match="interleaves"):
        report(declared(method="team_draft"), shown, done)


def test_the_page_and_the_json_hold_what_was_found():
    found = report(declared(variants={"control": {}, "new": {}}), *browsed(0.8))
    page = found.to_html()
    for said in (found.headline, "always-valid", "Over time", "<polygon", "no mismatch shown"):
        assert said.replace("<", "&lt;") in page or said in page
    assert "<script" not in page
    assert page.count("<td>live</td>") == 2, "which model each variant stands for"
    told = json.loads(json.dumps(found.as_dict()))
    assert told["comparisons"][0]["verdict"] == "better"
    assert told["experiment"]["planned_units"] == 2000
    hostile = from_dict({"experiments": {"<b>x": {"variants": {"control": {}, "new": {}}}}})["<b>x"]
    assert "<b>x" not in report(hostile, *browsed(0.8, n=300)).to_html()


def test_looks_are_days_and_not_too_many():
    assert len(days(0.0, 1000 * DAY)) <= LOOKS + 1
    assert days(0.0, 0.0) == [0.0]
    assert days(5.0, 5.0 + 3 * DAY)[-1] == 5.0 + 3 * DAY


def interleaved(better, n=600, seed=0):
    rng = np.random.default_rng(seed)
    shown, done = [], []
    for at in range(n):
        teams = [int(one) for one in rng.permutation([0, 1])]
        shown.append((f"u{at}", "mix", at * 60.0, f"r{at}", ["x", "y"], teams))
        for item, team in zip("xy", teams):
            if rng.random() < 0.2 + better * team:
                done.append((f"u{at}", "click", at * 60.0 + 5, f"r{at}", item))
    return (
        pl.DataFrame(shown, schema=["unit", "variant", "time", "request", "items", "teams"], orient="row"),
        pl.DataFrame(done, schema=["unit", "kind", "time", "request", "item"], orient="row"),
    )  # fmt: skip


def test_a_small_arm_needs_answers_of_its_own():
    """38 of 1,900 buy and 0 of 100: the arm of 100 has no variance of its own, and Fisher's exact p is 0.26."""
    units = range(2000)
    shown = pl.DataFrame({"unit": units, "variant": ["control"] * 1900 + ["new"] * 100, "time": [0.0] * 2000})  # fmt: skip
    done = pl.DataFrame({"unit": range(0, 1900, 50), "kind": "purchase", "time": [60.0] * 38})
    metrics = {"conversion": {"kind": "conversion", "window_hours": 1}}
    weighted = declared(metrics=metrics, variants={"control": {"weight": 19}, "new": {"weight": 1}}, before_days=0)  # fmt: skip
    found = report(weighted, shown, done, until=4 * 3600.0)
    assert found.comparisons[0].verdict == "no difference shown"
    assert found.comparisons[0].p_value == 1.0


def test_a_metric_that_has_nobody_yet_counts_among_the_comparisons():
    shown, done = browsed(0.8, n_days=1)
    later = {**METRICS, "retention": {"kind": "retention", "after_hours": 500, "window_hours": 24}}
    for metrics, n in ((METRICS, 2), (later, 3)):
        found = report(declared(metrics=metrics, before_days=0), shown, done)
        p = [one.p_value for one in found.comparisons]
        assert len(p) == 2
        assert [one.p_corrected for one in found.comparisons] == holm([*p, *[1.0] * (n - 2)])[:2]


def test_a_sequential_verdict_is_that_of_the_look_that_decided():
    looks = [
        Look(float(at), 1000, difference, low, high, p)
        for at, (difference, low, high, p) in enumerate(
            [(0.1, -0.1, 0.3, 0.2), (0.2, 0.1, 0.3, 1e-7), (-0.02, -0.1, 0.06, 1e-7)]
        )
    ]
    assert deciding(looks).difference == 0.2
    shown, done = browsed(0.8)
    real = report(declared(before_days=0), shown, done).comparisons[0]
    again = replace(real, looks=tuple(looks), verdict="better")
    (note,) = faded([again])
    assert note.startswith("ctr, new: better since 1970-01-01")
    assert faded([real]) == []


def test_a_fixed_interleaving_test_counts_heads_and_waits_for_its_stop():
    """60 people click b once, 30 click a three times: more people prefer b, though a has more clicks."""
    shown, done = [], []
    for unit in range(90):
        for at in range(3 if unit < 30 else 1):
            shown.append((f"u{unit}", "mix", unit * 60.0 + at, f"r{unit}.{at}", ["x", "y"], [0, 1]))
            item = "x" if unit < 30 else "y"
            done.append((f"u{unit}", "click", unit * 60.0 + at + 1, f"r{unit}.{at}", item))
    shown = pl.DataFrame(shown, schema=["unit", "variant", "time", "request", "items", "teams"], orient="row")  # fmt: skip
    done = pl.DataFrame(done, schema=["unit", "kind", "time", "request", "item"], orient="row")
    at_once = declared(method="team_draft", test="fixed", stop="1970-01-01T01:00:00Z")
    assert "new is preferred" in interleaving_report(at_once, shown, done).headline
    later = declared(method="team_draft", test="fixed", stop="1970-01-01T03:00:00Z")
    assert "not yet: it is looked at once, at 1970-01-01" in interleaving_report(later, shown, done).headline  # fmt: skip
    assert "new is preferred" in interleaving_report(later, shown, done, until=10_800.0).headline


def test_interleaving_is_reported_from_the_logs():
    mixed = declared(method="team_draft")
    shown, done = interleaved(0.3)
    found = interleaving_report(mixed, shown, done)
    assert "new is preferred" in found.headline
    net = {}
    for unit, _, _, _, item in done.iter_rows():
        row = shown.filter(pl.col("unit") == unit).row(0, named=True)
        net[unit] = net.get(unit, 0) + (1 if row["teams"][row["items"].index(item)] else -1)
    assert found.preference.for_b == sum(one > 0 for one in net.values())
    assert found.preference.for_a == sum(one < 0 for one in net.values())
    assert "no difference shown" in interleaving_report(mixed, *interleaved(0.0)).headline
    early = interleaving_report(mixed, shown, done, until=100 * 60.0)
    assert early.preference.requests == 101
    with pytest.raises(DataError, match="is empty"):
        interleaving_report(mixed, shown, done, until=-1.0)
    assert "Preference" in found.to_html()
    assert json.loads(json.dumps(found.as_dict()))["b"] == "new"


def test_balanced_interleaving_is_credited_from_the_rankings():
    shown, done = interleaved(0.0, n=3)
    lists = [["x", "y"], ["x", "y"], ["y", "x"]]
    shown = shown.with_columns(ranking_a=pl.Series(lists), ranking_b=pl.Series([["y", "x"]] * 3))
    done = pl.DataFrame([("u0", "click", 5.0, "r0", "x")], schema=["unit", "kind", "time", "request", "item"], orient="row")  # fmt: skip
    found = interleaving_report(declared(method="balanced"), shown, done)
    assert (found.preference.for_a, found.preference.for_b) == (1, 0)
    assert found.p_value == 1.0  # too few


def test_interleaving_needs_what_it_is_credited_from():
    shown, done = interleaved(0.3, n=20)
    with pytest.raises(DataError, match="need teams in every row"):
        interleaving_report(declared(method="team_draft"), shown.drop("teams"), done)
    with pytest.raises(ConfigError, match="does not interleave"):
        interleaving_report(declared(), shown, done)
    with pytest.raises(ConfigError, match="must be a click_through"):
        interleaving_report(declared(method="team_draft", metrics={"c": {"kind": "conversion"}}), shown, done)  # fmt: skip
