"""An online test from plan to verdict: people are assigned, browse, and buy; the report says what was planted.

With the name of a file it writes the page of the report there.
"""

import sys
import tomllib
from pathlib import Path

import numpy as np
import polars as pl

from twofold.online import assign, experiments, power
from twofold.online.report import report

DECLARED = """
[experiments.ranker]
start = 2026-11-02T00:00:00Z
planned_units = 20_000
metrics.click_through = { kind = "click_through" }
metrics.conversion = { kind = "conversion", window_hours = 24 }
metrics.watch_time = { kind = "watch_time", window_hours = 24 }

[experiments.ranker.variants.control]
[experiments.ranker.variants.new]
model = "runs/ship"
"""
DAYS, A_DAY, LIFT = 14, 1500, 0.25
DAY = 86400.0


def browsed(
    slice_: experiments.Slice, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what a population was shown and did; the new ranker raises all chances by 25 %."""
    shown, done = [], []
    for unit in range(DAYS * A_DAY):
        first = slice_.experiment.begins + (unit / A_DAY) * DAY
        variant = assign.variant_of(slice_, unit, first)
        taste = rng.beta(1, 9)
        before = rng.poisson(2000 * taste)
        done.append((unit, "watch", first - DAY, float(before)))
        better = 1 + LIFT * (variant == "new")
        for visit in range(rng.geometric(0.4)):
            time = first + visit * 3600.0
            shown.append((unit, variant, time, f"{unit}-{visit}"))
            if rng.random() < taste * better:
                done.append((unit, "click", time + 20, None))
                done.append((unit, "watch", time + 30, float(rng.exponential(600))))
                if rng.random() < 0.2:
                    done.append((unit, "purchase", time + 300, float(rng.integers(5, 50))))
    exposures = pl.DataFrame(shown, schema=["unit", "variant", "time", "request"], orient="row")
    return exposures, pl.DataFrame(done, schema=["unit", "kind", "time", "value"], orient="row")


def main() -> None:
    made = power.plan(baseline=0.1, lift=LIFT, sequential=True, units_per_day=A_DAY)
    sys.stdout.write(f"planned: {made.total:,} people, {made.days} days\n")
    declared = experiments.from_dict(tomllib.loads(DECLARED))["ranker"]
    exposures, events = browsed(declared, np.random.default_rng(0))
    found = report(declared, exposures, events)
    sys.stdout.write(f"{found.headline}\n{found.ratio}\n")
    with pl.Config(tbl_cols=-1, tbl_hide_column_data_types=True, fmt_str_lengths=60):
        sys.stdout.write(f"{found.frame()}\nplanted: {LIFT:+.0%}\n")
    for one in found.comparisons:
        day = next((at for at, look in enumerate(one.looks, 1) if look.low > 0), None)
        sys.stdout.write(f"{one.metric}: the always-valid band leaves 0 on day {day}; CUPED took {1 - one.lift.kept_variance:.0%} of the variance\n")  # fmt: skip
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(found.to_html(), encoding="utf-8")


if __name__ == "__main__":
    main()
