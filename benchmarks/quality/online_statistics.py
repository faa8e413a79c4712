"""Do the statistics of online tests hold what they promise? Simulation with fixed seeds, one table.

``python benchmarks/quality/online_statistics.py [--runs 1] [--parts FOLDER [--only PART]] [--save]``

Every experiment is simulated from a known truth, and measured by the same functions that ``twofold
experiment report`` calls. ``--runs 0.1`` takes a tenth of the runs, for a look. With ``--parts`` the rows of every
part are kept in a folder, so that an interrupted run goes on, and parts can be run one at a time.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from twofold.online.ab_test import Arm, arm, compare_arms
from twofold.online.explore import plackett_luce_propensities
from twofold.online.interleave import (
    balanced,
    credit_balanced,
    credit_team_draft,
    preference,
    team_draft,
)
from twofold.online.list_estimates import estimate_lists
from twofold.online.list_policies import Softmax
from twofold.online.off_policy import estimate, reward_of_action
from twofold.online.power import plan
from twofold.online.ratio_check import ratio_check, ratio_size, sequential_ratio_check
from twofold.online.sequential import FIRST_LOOK, always_valid_interval, always_valid_p
from twofold.online.track import ANSWERS

SAVED = Path(__file__).parents[2] / "docs" / "results" / "online_statistics.md"
DAYS = 28
LEVEL = 0.05
HEAD = """# Statistics of online tests, by simulation

`python benchmarks/quality/online_statistics.py --save`: {runs} runs a row unless it says otherwise, fixed seeds, level 5 %, two-sided, 28 days with a look a day. Conversion: 10 % of people.
Click-through: people differ (Beta(1, 9)), return, and see 1 to some thirty lists; revenue: 8 % buy, log-normal amounts. Interleaving: people differ in how much they click (log-normal, sigma 1) and see 10 lists each; where all click alike, A/B tests lose less and the gain is smaller. The bracket after a share is its 95 % Clopper-Pearson interval over the runs.

| what | wanted | found | holds |
|---|---|---|---|
"""
ROWS: list[tuple[str, str, str, bool | None]] = []


@dataclass(frozen=True)
class Share:
    """How often something happened."""

    hits: int
    runs: int

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.runs

    @property
    def ends(self) -> tuple[float, float]:
        """Its exact 95 % interval."""
        made = preference(np.arange(self.runs), np.arange(self.runs) >= self.hits, np.arange(self.runs) < self.hits)  # fmt: skip
        return made.share_low, made.share_high

    def __str__(self) -> str:
        low, high = self.ends
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def share(flags: Any) -> Share:
    """Count truth values."""
    told = np.asarray(flags, np.bool_)
    return Share(int(told.sum()), told.size)


def row(what: str, wanted: str, found: object, holds: bool | None) -> None:
    """Keep and print a row; None = shown for comparison, nothing is promised."""
    ROWS.append((what, wanted, str(found), None if holds is None else bool(holds)))
    told = "" if holds is None else "yes" if holds else "NO"
    sys.stderr.write(f"{what} | {wanted} | {found} | {told}\n")


# ---------------------------------------------------------------- populations


def conversion(rng: np.random.Generator, n: int, lift: float = 0.0) -> Arm:
    """People who buy or do not."""
    return arm(rng.random(n) < 0.1 * (1 + lift))


def clicks(rng: np.random.Generator, n: int, lift: float = 0.0) -> Arm:
    """People with tastes of their own and several lists each: rows of one person are alike."""
    lists = rng.geometric(0.2, n)
    taste = np.minimum(rng.beta(1, 9, n) * (1 + lift), 1)
    return arm(rng.binomial(lists, taste), lists)


def revenue(rng: np.random.Generator, n: int, lift: float = 0.0) -> Arm:
    """Most spend nothing, some much."""
    return arm((rng.random(n) < 0.08) * np.exp(rng.normal(2, 0.8, n)) * (1 + lift))


def as_rows(one: Arm) -> Arm:
    """Take every list for independent: the mistake that the delta method avoids."""
    hits, lists = int(one.total.sum()), int(one.weight.sum())
    return arm(np.arange(lists) < hits)


POPULATIONS: dict[str, Callable[..., Arm]] = {
    "conversion": conversion,
    "click-through": clicks,
    "revenue": revenue,
}

# ---------------------------------------------------------------- A/A and peeking


def within(found: Share, wanted: float, room: float) -> bool:
    """Say whether a share is what was wanted."""
    return abs(found.value - wanted) <= room + 1e-9


def a_a_fixed(runs: int) -> None:
    """Look once: false positives."""
    runs *= 4
    for name, draw in POPULATIONS.items():
        rng = np.random.default_rng(1)
        wrong, resampled, naive = list[bool](), list[bool](), list[bool]()
        for at in range(runs):
            a, b = draw(rng, 2000), draw(rng, 2000)
            wrong.append(compare_arms(a, b).p_value < LEVEL)
            if name == "click-through":
                naive.append(compare_arms(as_rows(a), as_rows(b)).p_value < LEVEL)
                if at % 4 == 0:
                    drawn = compare_arms(a, b, method="bootstrap", rng=at)
                    resampled.append(not holds(drawn.difference, 0.0))
        found = share(wrong)
        row(f"A/A, one look at the end, {name}, 2,000 + 2,000 people, {runs:,} runs: false positives", "5 % ± 1.4", found, within(found, LEVEL, 0.014))  # fmt: skip
        if name == "click-through":
            found = share(resampled)
            row(f"the same by the bootstrap over people, {len(resampled):,} runs", "5 % ± 1.4", found, within(found, LEVEL, 0.014))  # fmt: skip
            row("the same with every list taken for independent", "(shows why not)", share(naive), None)  # fmt: skip


def holds(interval: Any, truth: float) -> bool:
    """Say whether an interval holds the truth."""
    return interval[1] <= truth <= interval[2]


def by_day(draw: Callable[..., Arm], rng: np.random.Generator, a_day: int, lift: float = 0.0):
    """Return the estimate, its standard error, units and weights after each of 28 days."""
    control, treatment = draw(rng, a_day * DAYS), draw(rng, a_day * DAYS, lift)
    found = []
    for day in range(1, DAYS + 1):
        upto = slice(0, day * a_day)
        made = compare_arms(*(Arm(x.total[upto], x.weight[upto], x.before[upto]) for x in (control, treatment)))  # fmt: skip
        found.append((made.difference.value, made.standard_error, sum(made.units), made.p_value))
    return np.array(found).T


def returning(rng: np.random.Generator, a_day: int):
    """Click-through of people who arrive over the days and come back: totals of a person grow, as in a server's log."""
    n = a_day * DAYS
    born = np.repeat(np.arange(DAYS), a_day)
    arms = []
    for _ in range(2):
        taste = rng.beta(1, 9, n)
        visits = (rng.random((n, DAYS)) < 0.15) & (np.arange(DAYS) >= born[:, None])
        visits[np.arange(n), born] = True
        hits = visits & (rng.random((n, DAYS)) < taste[:, None])
        arms.append((hits.cumsum(axis=1), visits.cumsum(axis=1)))
    found = []
    for day in range(DAYS):
        here = born <= day
        made = compare_arms(*(arm(hits[here, day], visits[here, day]) for hits, visits in arms))
        found.append((made.difference.value, made.standard_error, made.size, made.p_value))
    return np.array(found).T


def a_a_peeking(runs: int) -> None:
    """Look every day: false positives of both tests."""
    for name, draw in POPULATIONS.items():
        rng = np.random.default_rng(2)
        tracks = [by_day(draw, rng, 200) for _ in range(runs)]
        peeked = share([(track[3] < LEVEL).any() for track in tracks])
        row(f"A/A, 28 daily looks, {name}, 200 + 200 new people a day: the fixed test stops at p < 0.05", "(shows why not)", peeked, None)  # fmt: skip
        found = share([always_valid_p(*track[:3], tightest=5600)[-1] < LEVEL for track in tracks])
        row("the same with the sequential test, tightest at half the planned people", "at most 5 % + 1.4", found, found.value <= LEVEL + 0.014)  # fmt: skip


def a_a_unequal(runs: int) -> None:
    """Give a twentieth of the people to the treatment: what counts from when rare answers of a small arm are normal."""
    rng = np.random.default_rng(21)
    a_day = np.array([[380], [20]])
    n = a_day * np.arange(1, 29)
    found: dict[bool, list[bool]] = {False: [], True: []}
    for _ in range(runs):
        hits = np.cumsum(rng.binomial(a_day, 0.02, (2, 28)), axis=1)
        mean = hits / n
        error = np.sqrt((mean * (1 - mean) / (n - 1)).sum(axis=0))
        for each, flags in found.items():
            answers = hits.min(axis=0) if each else hits.sum(axis=0)
            counts = (answers >= ANSWERS) & (n.min(axis=0) >= FIRST_LOOK)
            p = always_valid_p(mean[1] - mean[0], np.where(counts, error, np.nan), n.sum(axis=0), tightest=5600)  # fmt: skip
            flags.append(bool(p[-1] < LEVEL))
    both, one = share(found[False]), share(found[True])
    row(f"A/A, 28 daily looks, conversion of 2 %, 380 + 20 new people a day: the sequential test from {ANSWERS} answers of both together", "(shows why not)", both, None)  # fmt: skip
    row(f"the same from {ANSWERS} answers of each, as in reports", "at most 5 % + 1.4", one, one.value <= LEVEL + 0.014)  # fmt: skip


def a_a_returning(runs: int) -> None:
    """Look every day at people who come back: false positives of both tests."""
    rng = np.random.default_rng(3)
    tracks = [returning(rng, 100) for _ in range(runs)]
    peeked = share([(track[3] < LEVEL).any() for track in tracks])
    row("A/A, 28 daily looks, click-through of people who come back: the fixed test", "(shows why not)", peeked, None)  # fmt: skip
    found = share([always_valid_p(*track[:3], tightest=track[2][0] * 14)[-1] < LEVEL for track in tracks])  # fmt: skip
    row("the same with the sequential test", "at most 5 % + 1.4", found, found.value <= LEVEL + 0.014)  # fmt: skip


def a_a_every_person(runs: int) -> None:
    """Look after every person, for very long: the level is spent."""
    rng, most, first, hits = np.random.default_rng(4), 200_000, 200, []
    n = np.arange(1, most + 1)
    for _ in range(runs):
        sums = np.cumsum(rng.integers(0, 2, (2, most), dtype=np.int8), axis=1, dtype=np.int64)
        means = sums / n
        error = np.sqrt((means * (1 - means) / np.maximum(n - 1, 1)).sum(axis=0))
        looks = slice(first, None)
        p = always_valid_p((means[1] - means[0])[looks], error[looks], 2 * n[looks], tightest=400)
        hits.append(p[-1] < LEVEL)
    found = share(hits)
    row("A/A, a look after every pair of people from the 200th to the 200,000th, tightest at 400: the sequential test spends its level", "at most 5 % + 1.4", found, found.value <= LEVEL + 0.014)  # fmt: skip


# ---------------------------------------------------------------- planted lifts


def planted(runs: int) -> None:
    """Find a planted lift with the planned power, and cover it."""
    lift = 0.15
    for name, draw, spread in (
        ("conversion", conversion, None),
        ("revenue", revenue, float(revenue(np.random.default_rng(0), 2_000_000).total.std())),
    ):
        base = 0.1 if spread is None else 0.08 * math.exp(2 + 0.32)
        size = lift if spread is None else 2 * lift
        made = plan(baseline=base, lift=size, spread=None if spread is None else (spread, spread * (1 + size)))  # fmt: skip
        rng = np.random.default_rng(5)
        found = [compare_arms(draw(rng, made.units[0]), draw(rng, made.units[1], size)) for _ in range(runs)]  # fmt: skip
        power = share([one.p_value < LEVEL for one in found])
        low, high = power.ends
        row(f"planted lift of {size:.0%}, {name}, {made.total:,} people as planned for a power of 80 %: found", "80 % within its interval", power, low <= 0.8 <= high)  # fmt: skip
        for told, kind, truth in (("difference", "difference", base * size), ("relative lift", "relative", size)):  # fmt: skip
            covered = share([holds(getattr(one, kind), truth) for one in found])
            row(f"the same: intervals of the {told} that hold the truth", "95 % ± 2", covered, within(covered, 0.95, 0.02))  # fmt: skip
    made = plan(baseline=0.1, lift=lift, sequential=True)
    rng = np.random.default_rng(6)
    a_day = math.ceil(made.units[0] / DAYS)
    decided, covered = [], []
    for _ in range(runs):
        value, error, n, _ = by_day(conversion, rng, a_day, lift)
        p = always_valid_p(value, error, n, tightest=made.total)
        decided.append(int(np.argmax(p < LEVEL)) + 1 if p[-1] < LEVEL else 0)
        band = always_valid_interval(value, error, n, tightest=made.total)
        covered.append(bool(((band[:, 0] <= 0.1 * lift) & (0.1 * lift <= band[:, 1])).all()))
    power = share(np.array(decided) > 0)
    days = np.array([one for one in decided if one])
    row(f"planted lift of {lift:.0%}, conversion, sequential test, {made.total:,} people as planned for a power of 80 %: found by day 28", "at least 80 %", power, power.ends[1] >= 0.8)  # fmt: skip
    row("the same: the day on which it is found, median [quartiles]", "(for information)", f"{np.median(days):.0f} [{np.quantile(days, 0.25):.0f}, {np.quantile(days, 0.75):.0f}]", None)  # fmt: skip
    told = share(covered)
    row("the same: bands that hold the truth on all 28 days", "at least 95 % - 1.4", told, told.value >= 0.936)  # fmt: skip


# ---------------------------------------------------------------- ratio


def ratio(runs: int) -> None:
    """Find 51/49, and stay silent at 50/50."""
    size = ratio_size([0.51, 0.49], [1, 1], power=0.9)
    for name, chance in (("51/49", 0.51), ("50/50", 0.5)):
        rng = np.random.default_rng(7)
        many = runs if chance != 0.5 else 10 * runs
        counts = rng.binomial(size, chance, many)
        found = share([ratio_check([one, size - one], [1, 1]).alarm for one in counts])
        wanted, good = ("90 % within its interval", found.ends[0] <= 0.9 <= found.ends[1]) if chance != 0.5 else ("0.1 % within its interval", found.ends[0] <= 0.001 <= found.ends[1])  # fmt: skip
        row(f"ratio alarm at {name}, {size:,} people{'' if chance != 0.5 else f', {many:,} runs'}", wanted, found, good)  # fmt: skip
        rng = np.random.default_rng(8)
        first = np.cumsum(rng.binomial(size // DAYS, chance, (many, DAYS)), axis=1)
        total = size // DAYS * np.arange(1, DAYS + 1)
        alarms = share([sequential_ratio_check(np.stack([one, total - one], axis=1), [1, 1])[-1] < 0.001 for one in first])  # fmt: skip
        good = alarms.value <= 0.002 if chance == 0.5 else None
        row(f"the same, the sequential alarm with 28 daily looks, {name}", "at most 0.1 % + 0.1" if chance == 0.5 else "(for information)", alarms, good)  # fmt: skip


# ---------------------------------------------------------------- CUPED


def cuped(runs: int) -> None:
    """Shrink the variance by 1 - rho^2."""
    for rho in (0.5, 0.8):
        rng, plain, adjusted, told = np.random.default_rng(9), [], [], []
        for _ in range(2 * runs):
            arms = []
            for _ in range(2):
                x = rng.normal(size=1000)
                arms.append((rho * x + math.sqrt(1 - rho**2) * rng.normal(size=1000), x))
            plain.append(compare_arms(*(arm(y) for y, _ in arms)).difference.value)
            made = compare_arms(*(arm(y, before=x) for y, x in arms))
            adjusted.append(made.difference.value)
            told.append(made.kept_variance)
        kept = float(np.var(adjusted) / np.var(plain))
        # The ratio of two variances of correlated estimates: its log has a variance of 4 (1 - r^2) / runs.
        r = float(np.corrcoef(plain, adjusted)[0, 1])
        reach = 1.96 * math.sqrt(4 * (1 - r**2) / len(plain))
        low, high = kept * math.exp(-reach), kept * math.exp(reach)
        row(f"CUPED, correlation {rho}: variance of the estimate that is left, {2 * runs:,} runs", f"1 - rho² = {1 - rho**2:.2f} within its interval", f"{kept:.3f} [{low:.3f}, {high:.3f}]", low <= 1 - rho**2 <= high)  # fmt: skip
        row("the same, as each report says it (mean)", f"{1 - rho**2:.2f} ± 0.01", f"{np.mean(told):.3f}", abs(float(np.mean(told)) - (1 - rho**2)) < 0.01)  # fmt: skip


# ---------------------------------------------------------------- interleaving


def rankers(rng: np.random.Generator, n: int, each: int, noise: tuple[float, float]):
    """Show n people some lists of 10 from either ranker, and mixed ones; clicks by attraction, person and place.

    Returns for each name what each person did: clicks, lists with a click, lists; or credit for a and b.
    A ranker orders 40 candidates by taste + noise; people click more or less than others, by a factor
    that is log-normal (sigma 1): active people are what makes A/B tests slow.
    """
    k, m = 10, 40
    bias = 1 / np.arange(1, k + 1) ** 0.7
    found: dict[str, list[np.ndarray]] = {"a": [], "b": [], "team draft": [], "balanced": []}
    for _ in range(n):
        busy = math.exp(rng.normal())
        sums = {name: np.zeros(3) for name in found}
        for _ in range(each):
            taste = rng.normal(size=m)
            chance = np.minimum(busy / (1 + np.exp(3.5 - 1.5 * taste)), 0.95)
            a, b = (np.argsort(-(taste + one * rng.normal(size=m)))[:k].tolist() for one in noise)
            drawn = rng.random((4, k))
            for at, (name, shown) in enumerate((("a", a), ("b", b))):
                hits = int((drawn[at] < chance[shown] * bias).sum())
                sums[name] += hits, hits > 0, 1
            for at, (name, mix) in enumerate((("team draft", team_draft), ("balanced", balanced))):
                made = mix(a, b, k, rng)
                hit = drawn[2 + at] < chance[made.items] * bias
                clicked = [one for one, yes in zip(made.items, hit, strict=True) if yes]
                credit = credit_team_draft(made, clicked) if at == 0 else credit_balanced(made, clicked, a, b)  # fmt: skip
                sums[name] += credit.a, credit.b, 1
        for name, one in sums.items():
            found[name].append(one)
    return {name: np.array(one) for name, one in found.items()}


def needed(draw: Callable[[np.random.Generator, int], bool], runs: int, start: int) -> tuple[int, Share]:  # fmt: skip
    """Return about how many lists find the better ranker in 80 % of the runs, by doubling and then halving steps."""
    size, low = start, 0
    while True:
        rng = np.random.default_rng(10)
        found = share([draw(rng, size) for _ in range(runs)])
        if found.value >= 0.8:
            break
        low, size = size, size * 2
    for _ in range(5):
        middle = (low + size) // 2
        rng = np.random.default_rng(10)
        tried = share([draw(rng, middle) for _ in range(runs)])
        low, size, found = (low, middle, tried) if tried.value >= 0.8 else (middle, size, found)
    return size, found


def interleaving(runs: int) -> None:
    """Count the lists that A/B and interleaving need on the same pair of rankers."""
    n, each = max(500, 6 * runs), 10
    pool = rankers(np.random.default_rng(11), n, each, (1.0, 0.8))

    def a_b(column: int) -> Callable[..., bool]:
        def find(rng: np.random.Generator, size: int) -> bool:
            picks = rng.integers(0, n, (2, max(2, size // each // 2)))
            arms = [arm(pool[name][pick, column], pool[name][pick, 2]) for name, pick in zip("ab", picks, strict=True)]  # fmt: skip
            made = compare_arms(*arms)
            return made.p_value < LEVEL and made.difference.value > 0

        return find

    def mixed(name: str) -> Callable[..., bool]:
        def find(rng: np.random.Generator, size: int) -> bool:
            people = max(2, size // each)
            credit = pool[name][rng.integers(0, n, people)]
            made = preference(np.arange(people), credit[:, 0], credit[:, 1])
            return made.p_value < LEVEL and made.share_b > 0.5

        return find

    sizes = {
        "A/B, clicks a list": needed(a_b(0), runs // 2, 2000),
        "A/B, lists with a click": needed(a_b(1), runs // 2, 2000),
        "team draft": needed(mixed("team draft"), runs // 2, 100),
        "balanced": needed(mixed("balanced"), runs // 2, 100),
    }
    best = min(sizes["A/B, clicks a list"][0], sizes["A/B, lists with a click"][0])
    for name, (size, found) in sizes.items():
        wanted, good = "(the measure)", None
        if name in ("team draft", "balanced"):
            wanted, good = f"at most a fifth of {best:,}", 5 * size <= best
        row(f"lists until the better of two rankers is found in 80 % of {runs // 2:,} runs, 10 lists a person: {name}", wanted, f"{size:,} (1/{best / size:.1f}; {found})", good)  # fmt: skip
    a_a = rankers(np.random.default_rng(12), 200 * runs, 1, (1.0, 1.0))
    for name in ("team draft", "balanced"):
        p = [preference(np.arange(200), one[:, 0], one[:, 1]).p_value for one in a_a[name].reshape(runs, 200, 3)]  # fmt: skip
        found = share(np.array(p) < LEVEL)
        row(f"equal rankers, {name}, 200 people: false positives (the exact sign test stays below its level)", "at most 5 % + 1.4", found, found.value <= 0.064)  # fmt: skip
    rng, hits = np.random.default_rng(14), []
    for _ in range(runs):
        who = np.repeat(np.arange(200), 10)
        leaning = rng.normal(size=200)[who]
        clicked = rng.random(2000) < 0.3
        for_b = clicked & (rng.random(2000) < 1 / (1 + np.exp(-2 * leaning)))
        hits.append(preference(who, clicked & ~for_b, for_b).p_value < LEVEL)
    found = share(hits)
    row("equal rankers, 200 people with leanings of their own and 10 lists each: false positives", "at most 5 % + 1.4", found, found.value <= 0.064)  # fmt: skip


# ---------------------------------------------------------------- off-policy


def off_policy(runs: int) -> None:
    """Cover the true value of another policy."""
    m, n = 6, 3000
    truth_of = np.random.default_rng(15)
    reward = truth_of.uniform(0.05, 0.5, (3, m))  # three kinds of people
    logged = np.array([[0.4, 0.2, 0.1, 0.1, 0.1, 0.1], [0.1] * 4 + [0.3] * 2, [0.05, 0.15, 0.2, 0.2, 0.2, 0.2]])  # fmt: skip
    target = np.full((3, m), 0.04)
    target[np.arange(3), reward.argmax(axis=1)] += 1 - 0.04 * m
    truth = float((target * reward).sum(axis=1).mean())
    found: dict[str, list[Any]] = {}
    rng = np.random.default_rng(16)
    for at in range(2 * runs):
        kind = rng.integers(0, 3, n)
        done = (rng.random((n, 1)) > logged[kind].cumsum(axis=1)).sum(axis=1).clip(max=m - 1)
        earned = (rng.random(n) < reward[kind, done]).astype(float)
        p, q = logged[kind, done], target[kind, done]
        f, g = reward_of_action(done, earned, target[kind], rng=at)
        for name, more in (
            ("ips", {}),
            ("snips", {}),
            ("dr", {"model_logged": f, "model_target": g}),
        ):
            found.setdefault(name, []).append(estimate(earned, p, q, method=name, **more))
            if at < runs and name != "ips":
                made = estimate(earned, p, q, method=name, interval="bootstrap", rng=at, **more)
                found.setdefault(f"{name}, bootstrap", []).append(made)
    for name, some in found.items():
        covered = share([one.low <= truth <= one.high for one in some])
        values = np.array([one.value for one in some])
        row(f"{name}: intervals that hold the true value of the target, {n:,} rows, {len(some):,} runs", "95 % ± 2", covered, within(covered, 0.95, 0.02))  # fmt: skip
        bias, error = values.mean() - truth, values.std() / math.sqrt(len(values))
        row("the same: bias, and the standard deviation of the estimate", "0 within 4 standard errors", f"{bias:+.5f}, {values.std():.4f} (truth {truth:.4f})", abs(bias) < 4 * error)  # fmt: skip
    lists(runs)


def lists(runs: int) -> None:
    """Whole lists of three from Plackett-Luce, weighed by the product of the chances of their places."""
    m, n, k = 6, 2000, 3
    worth = np.random.default_rng(17).uniform(0, 0.4, m)
    old, new = np.random.default_rng(18).normal(size=(2, m)) * 0.7
    every = [(a, b, c) for a in range(m) for b in range(m) for c in range(m) if len({a, b, c}) == 3]  # fmt: skip
    chances = [np.array([plackett_luce_propensities(s, one, temperature=1).prod() for one in every]) for s in (old, new)]  # fmt: skip
    bias = np.array([1.0, 0.6, 0.4])
    earned_of = np.array([(worth[list(one)] * bias).sum() for one in every])
    truth = float(chances[1] @ earned_of)
    rng, covered = np.random.default_rng(19), []
    for _ in range(runs):
        drawn = rng.choice(len(every), n, p=chances[0] / chances[0].sum())
        clicks = (rng.random((n, k)) < worth[np.array(every)[drawn]] * bias).sum(axis=1)
        made = estimate(clicks, chances[0][drawn], chances[1][drawn], method="snips")
        covered.append(made.low <= truth <= made.high)
    found = share(covered)
    row(f"snips on lists of {k} (Plackett-Luce, product of the chances of their places), {n:,} lists", "95 % ± 2", found, within(found, 0.95, 0.02))  # fmt: skip


def drawn_lists(runs: int) -> None:
    """From the log that a server keeps: lists drawn by softmax, the target another softmax, two places."""
    m, n, k, wanted = 8, 1000, 3, runs // 2
    scores, other = np.random.default_rng(20).normal(size=(2, m))
    worth = np.random.default_rng(21).uniform(0.05, 0.5, m)
    logged, new = Softmax(temperature=1.0, candidates=m), Softmax(temperature=0.8, candidates=m)
    first = new.chances(other, [])
    second = sum(first[one] * new.chances(other, [one]) for one in range(m))
    truth = float((first + 0.6 * second) @ worth)
    items = [str(one) for one in range(m)]
    target = pl.DataFrame({"request": [str(at) for at in range(n)], "items": [items] * n, "scores": [other.tolist()] * n})  # fmt: skip
    found: dict[str, list[bool]] = {}
    rng = np.random.default_rng(22)
    for _ in range(wanted):
        drawn = [logged.draw(scores, k, rng) for _ in range(n)]
        shown = pl.DataFrame({"unit": [str(at % 400) for at in range(n)], "variant": "live", "time": [float(at) for at in range(n)], "request": target["request"], "items": [[items[row] for row in one.places] for one in drawn], "propensities": [one.propensities.tolist() for one in drawn], "candidates": [items] * n})  # fmt: skip
        hits = [(at, one.places[place]) for at, one in enumerate(drawn) for place in range(k) if rng.random() < worth[one.places[place]] * (1.0, 0.6, 0.3)[place]]  # fmt: skip
        done = pl.DataFrame({"unit": [str(at % 400) for at, _ in hits], "kind": "click", "time": [at + 1.0 for at, _ in hits], "request": [str(at) for at, _ in hits], "item": [items[row] for _, row in hits]})  # fmt: skip
        made = estimate_lists(shown, done, target, policy=new, places=2)
        for one in made.estimates:
            found.setdefault(one.name, []).append(one.low <= truth <= one.high)
    for name, covered in found.items():
        told = share(covered)
        row(f"{name} of the clicks in the first two places, {n:,} lists of 400 people as a server logs them, {wanted:,} runs", "95 % ± 2", told, within(told, 0.95, 0.02))  # fmt: skip


PARTS = (
    a_a_fixed,
    a_a_peeking,
    a_a_unequal,
    a_a_returning,
    a_a_every_person,
    planted,
    ratio,
    cuped,
    interleaving,
    off_policy,
    drawn_lists,
)


def main() -> int:
    """Run the parts, print the table; 1 where a row does not hold."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=float, default=1.0, help="share of the runs")
    asked.add_argument("--only", default="", choices=["", *(one.__name__ for one in PARTS)])
    asked.add_argument("--parts", type=Path, help="where the rows of each part are kept")
    asked.add_argument("--save", action="store_true")
    said = asked.parse_args()
    runs = max(20, round(1000 * said.runs))
    everything: list[tuple[str, str, str, bool | None]] = []
    for part in PARTS:
        kept = said.parts / f"{part.__name__}.json" if said.parts else None
        if kept and kept.exists():
            everything += [tuple(one) for one in json.loads(kept.read_text())]
        elif said.only in ("", part.__name__):
            ROWS.clear()
            part(runs)
            everything += ROWS
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(ROWS))
    told = {True: "yes", False: "**no**", None: ""}
    table = HEAD.format(runs=f"{runs:,}") + "".join(f"| {a} | {b} | {c} | {told[d]} |\n" for a, b, c, d in everything)  # fmt: skip
    sys.stdout.write(table)
    if said.save and not said.only:
        SAVED.write_text(table)
    return int(any(one[3] is False for one in everything))


if __name__ == "__main__":
    sys.exit(main())
