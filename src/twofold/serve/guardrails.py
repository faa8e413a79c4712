"""Whether a version may take the live one's place: its offline report, its data, and how it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from twofold.data.vocabulary import UNKNOWN
from twofold.errors import TwofoldError
from twofold.models._base import FittedModel
from twofold.serve.failures import refusal
from twofold.serve.histories import LiveHistories
from twofold.serve.schemas import Question
from twofold.serve.served import Answer, Served
from twofold.serve.settings import Settings

PEOPLE = 200
"""Users whose lists are made to compare two versions."""
K = 10
SMALLER_IS_BETTER = ("rmse", "mae", "log_loss")
"""Metrics, without their cut-off, of which less is better."""
SAME = ("split", "part", "users", "targets")
"""What two reports must share to be compared."""
NOBODY = "\u241ftwofold-nobody"
"""A user id that nobody has."""


@dataclass(frozen=True)
class Candidate:
    """A version with what is recorded of it."""

    served: Served
    report: Mapping[str, Any] | None
    data: str | None


def objections(
    new: Candidate, live: Candidate, settings: Settings, *, other_data: bool = False
) -> list[str]:
    """Return what speaks against promoting `new`, whose report may be of `other_data`; empty where nothing does."""
    found = against_report(new, live, settings.metric, other_data=other_data)
    found += against_answers(new.served, live.served, settings)
    return found


def against_report(
    new: Candidate, live: Candidate, metric: str | None, *, other_data: bool = False
) -> list[str]:
    """Compare the offline reports: the new value may not lie below the live model's interval; those of `other_data` are not compared."""
    if new.report is None:
        return [
            "it has no offline report; train it with twofold fit --refit, which measures what was held out and then trains on everything"
        ]
    if live.report is None:
        return []
    if new.data != live.data:
        return [] if other_data else [
            "its report was made on other data than the live model's, or with other columns of them; "
            "train both on the same log, or promote it with other_data (--other-data), which compares no reports and checks the rest"
        ]  # fmt: skip
    for key in SAME:
        if new.report.get(key) != live.report.get(key):
            return [
                f"its report has other {key} ({new.report.get(key)}) than the live model's "
                f"({live.report.get(key)}); measure both on the same split"
            ]
    mine, theirs = new.report["metrics"], live.report["metrics"]
    name = metric or next((one for one in theirs if one in mine), None)
    if name is None or name not in mine or name not in theirs:
        return [f"the reports share no metric {name or ''}; measure both with the same ones"]
    value, before = mine[name]["value"], theirs[name]
    if value is None or before["value"] is None:
        return [f"{name} is not defined in both reports; choose another metric"]
    falls = name.split("@")[0] in SMALLER_IS_BETTER
    bound = before["high" if falls else "low"]
    bound = before["value"] if bound is None else bound
    if (value > bound) if falls else (value < bound):
        return [
            f"its {name} is {value:.4f}, and the live model's {before['value']:.4f} "
            f"(interval {_number(before['low'])} to {_number(before['high'])})"
        ]
    return []


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.4f}"


def against_answers(new: Served, live: Served, settings: Settings) -> list[str]:
    """Ask both versions for the lists of the same people, and for those of strangers."""
    found: list[str] = []
    try:
        stranger = ask(new, Question(user=NOBODY, k=K))
        first = int(new.popular[0]) if len(new.popular) else 0
        history = ask(new, Question(history=[new.ids[first]], k=K))
        mine, seconds = lists(new, live)
        theirs, _ = lists(live, live)
    except TwofoldError as error:
        return [f"it does not answer: {error}"]
    for who, answer in (("somebody unknown", stranger), ("a history of one item", history)):
        if not answer.items:
            found.append(f"its list for {who} is empty")
    everything = [*mine, stranger, history]
    if not all(math.isfinite(one) for answer in everything for one in answer.scores):
        found.append("its scores are not all finite")
    had, has = distinct(theirs), distinct(mine)
    if has < settings.min_coverage * had:
        found.append(
            f"its lists for {len(mine)} people name {has:,} items, the live model's {had:,}; "
            f"at least {settings.min_coverage:.0%} of that is asked for"
        )
    added = np.arange(live.model.n_trained, len(live.ids))
    held = [live.ids[row] for row in np.setdiff1d(added, live.withdrawn).tolist()]
    lost = np.flatnonzero(new.model.items.ids.rows(held) == UNKNOWN)
    if len(lost):
        which = f"{len(lost):,} items that were added, such as {held[int(lost[0])]!r}"
        found.append(
            f"it cannot place {which}: the log says why; PUT them again, or take one that was trained with them"
            if new.model.reads_content
            else f"it does not know {which}; take a model that reads content, or one that was trained with them"
        )
    slow = float(np.quantile(seconds, 0.95)) * 1000 if seconds else 0.0
    if slow > settings.max_latency_ms:
        found.append(
            f"95 of 100 of its lists take {slow:.1f} ms; at most {settings.max_latency_ms:g} ms are asked for"
        )
    return found


def lists(served: Served, whose: Served) -> tuple[list[Answer], list[float]]:
    """Return the lists for up to `PEOPLE` users of `whose` training, and the seconds that each took."""
    users = whose.model.users.ids
    step = max(1, len(users) // PEOPLE)
    made: list[Answer] = []
    seconds: list[float] = []
    for row in range(0, min(len(users), step * PEOPLE), step):
        question = Question(user=users[row], k=K)
        began = time.perf_counter()
        made.append(ask(served, question))
        seconds.append(time.perf_counter() - began)
    return made, seconds


def ask(served: Served, question: Question) -> Answer:
    """Return a list made from what training knows alone."""
    return served.answer(question, LiveHistories(1))


def distinct(answers: list[Answer]) -> int:
    """Return how many items the lists name."""
    return len({item for answer in answers for item in answer.items})


def warmed(version: int, model: FittedModel) -> Served:
    """Return a version after its first answers, which compile what the others need.

    Raises
    ------
    Refused
        If it does not answer.
    """
    served = Served.of(version, model)
    empty = LiveHistories(1)
    item = served.ids[0]
    for question in (
        Question(user=NOBODY, k=1),
        Question(user=model.users.ids[0], k=1),
        Question(history=[item], k=1),
        Question(history=[item], k=1, deny=[item], allow=[item]),
    ):
        try:
            served.answer(question, empty)
        except TwofoldError as error:
            raise refusal(error) from error
    return served
