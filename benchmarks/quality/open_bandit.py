"""Off-policy estimates on real traffic: from the log of one policy of Open Bandit the clicks of the other, beside its own.

``python benchmarks/quality/open_bandit.py [--save]``

Saito, Aihara, Matsutani & Narita 2021: a clothes shop showed items by a uniform policy and by Bernoulli Thompson
sampling (TS) in the same week; the sample has 10,000 impressions of each in three campaigns. TS from the uniform log:
its chances are the shares of its own impressions at each place. Uniform from the log of TS: chances as logged.
An estimate agrees where it and the policy's own clicks differ by less than 1.96 standard errors of both.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import polars as pl

import twofold as tw
from twofold.online.off_policy import check_support, estimate, reward_of_action

SAVED = Path(__file__).parents[2] / "docs" / "results" / "open_bandit.md"
HEAD = """# Off-policy estimates beside what really happened: Open Bandit

`python benchmarks/quality/open_bandit.py --save`: clicks in 1,000 impressions, with 95 % intervals; {rows:,} impressions a policy and campaign. Clicks are rare here (38 to 69 in 10,000), so that the intervals are wide;
an estimate agrees where it differs from the policy's own clicks by less than 1.96 standard errors of both. Of few rows that a log is worth, such as those of TS in the women's campaign, the estimate itself warns: its interval is not to be relied on.

| campaign | policy | its own clicks | estimated from | estimator | estimate | worth rows | agrees |
|---|---|---|---|---|---|---|---|
"""


def target_of(log: pl.DataFrame, code: dict[str, int], places: list[str]) -> np.ndarray:
    """Return the chances of a policy by its own impressions; shape (places, items)."""
    found = np.zeros((len(places), len(code)))
    for item, place in zip(log["item"], log["position"], strict=True):
        found[places.index(place), code[item]] += 1
    return found / found.sum(axis=1, keepdims=True)


def rows_of(frame: pl.DataFrame, campaign: str, policy: str, other: str) -> list[str]:
    """Return the rows of one policy, estimated from the log of the other."""
    here = frame.filter(pl.col("campaign") == campaign)
    own, log = (here.filter(pl.col("policy") == one) for one in (policy, other))
    code = {item: at for at, item in enumerate(sorted(here["item"].unique().to_list()))}
    places = sorted(here["position"].unique().to_list())
    m = len(code)
    uniform = np.full((len(places), m), 1 / m)
    target = uniform if policy == "random" else target_of(own, code, places)
    done = np.array([code[one] for one in log["item"]])
    place = np.array([places.index(one) for one in log["position"]])
    r, p, q = log["value"].to_numpy().astype(float), log["propensity_score"].to_numpy(), target[place, done]  # fmt: skip
    if other == "random":
        check_support(uniform, target, list(code))
    f, g = reward_of_action(done, r, target[place], rng=0)
    truth = float(own["value"].mean())
    error = math.sqrt(truth * (1 - truth) / len(own))
    made: list[str] = []
    for method, more in (
        ("ips", {}),
        ("snips", {}),
        ("dr", {"model_logged": f, "model_target": g}),
    ):
        found = estimate(r, p, q, method=method, **more)
        both = math.hypot((found.high - found.low) / (2 * 1.96), error)
        agrees = "yes" if abs(found.value - truth) < 1.96 * both else "**no**"
        made.append(
            f"| {campaign} | {policy} | {1000 * truth:.2f} ± {1960 * error:.2f} | {other} | {method} | "
            f"{1000 * found.value:.2f} [{1000 * found.low:.2f}, {1000 * found.high:.2f}] | {found.effective:,.0f} | {agrees} |\n"
        )
    return made


def main() -> int:
    """Print the table; 1 where an estimate does not agree."""
    frame = tw.datasets.load("open-bandit").frame("interactions")
    table = HEAD.format(rows=len(frame) // 6)
    for campaign in ("all", "men", "women"):
        for policy, other in (("bts", "random"), ("random", "bts")):
            table += "".join(rows_of(frame, campaign, policy, other))
    sys.stdout.write(table)
    if "--save" in sys.argv:
        SAVED.write_text(table)
    return int("**no**" in table)


if __name__ == "__main__":
    sys.exit(main())
