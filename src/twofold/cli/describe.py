"""The command that says what a log is like."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from twofold.cli.options import Data, flags_of, read_log, reads_a_log
from twofold.cli.output import Json, say, say_json, table
from twofold.data.dataset import Dataset
from twofold.data.passwords import without_passwords
from twofold.plans import DataPlan

MANY = 0.2
"""Share of events of a pair that occurred before from which people take the same again."""


@reads_a_log
def describe(data: Data, json: Json = False, *, said: dict[str, Any]) -> None:
    """Say what a log is like, before anything is trained: counts, times, values, columns, and what was odd in it.

    Example: `twofold describe --data ratings.csv`
    """
    log = read_log(DataPlan.of(data, **said))
    facts = log.describe()
    if json:
        say_json({"facts": dict(facts.rows()), "notes": list(log.notes)})
        return
    say(table(facts))
    say(f"next: {next_command(log, data, said)}")


def next_command(log: Dataset, data: str, said: Mapping[str, Any]) -> str:
    """Return the comparison that suits a log: where people take the same again, that counts, and the baseline of it takes part."""
    events = log.interactions
    dated = events.time is not None and events.time.min() < events.time.max()
    again = dated and 1 - events.n_pairs / len(log) > MANY
    how = "--split temporal --split-option repeats=keep --model PersonalFrequency --model EASE" if again else ""  # fmt: skip
    words = ["twofold", "compare", "--data", without_passwords(data), *flags_of(said), *how.split()]
    return shlex.join(words)
