"""What a version would have listed at the exposures of a store: each question asked again, with the history of its moment."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import polars as pl

from twofold.errors import DataError, TwofoldError
from twofold.progress import track
from twofold.questions import TIME
from twofold.serve.histories import LiveHistories
from twofold.serve.live import Live
from twofold.serve.schemas import Question
from twofold.serve.store import Row

TARGET = {
    "unit": pl.String,
    "request": pl.String,
    "items": pl.List(pl.String),
    "scores": pl.List(pl.Float64),
}


class Replayed(NamedTuple):
    """What a version would have listed."""

    target: pl.DataFrame
    """`unit`, `request`, `items` (best first), `scores`: the target of `list_estimates.estimate_lists`."""
    notes: tuple[str, ...]


def replay(live: Live, number: int, exposures: pl.DataFrame, *, k: int | None, within: bool) -> Replayed:  # fmt: skip
    """Ask a version what was asked, in order of time.

    Exposures before the end of the version's training are left out: it may have learned from their clicks.

    Parameters
    ----------
    live
        An opened server; its own histories are not touched.
    number
        The version.
    exposures
        Of `experiment_logs.exposure_parts`; those without a question are passed over.
    k
        Length of its lists; None = as many as there were candidates.
    within
        Whether it ranks the logged candidates alone.

    Raises
    ------
    DataError
        If nothing is left to ask, or it answers nothing.
    """
    served, _ = live.open_version(live.registry.read(), number)
    drawn = exposures.filter(pl.col("question").is_not_null()).sort("time", maintain_order=True)
    if drawn.is_empty():
        raise DataError("no list of the store was drawn with known chances: serve with explore in the file of --experiment")  # fmt: skip
    notes: list[str] = []
    asked = drawn
    if served.trained_until is None:
        notes.append(f"version {number} knows no times: that it did not learn from these clicks is not checked")  # fmt: skip
    else:
        asked = drawn.filter(pl.col("time") > served.trained_until)
        early = len(drawn) - len(asked)
        if asked.is_empty():
            raise DataError(f"version {number} was trained on events after all {len(drawn):,} lists, and may have learned from their clicks; take a version that is older than the log")  # fmt: skip
        if early:
            notes.append(f"{early:,} lists before the end of the training of version {number} were left out")  # fmt: skip
    histories = LiveHistories(live.settings.history, live.settings.kinds)
    questions = [Question.model_validate_json(one) for one in asked["question"]]
    simulated = all(one.time is not None for one in questions)
    later = _events(live, simulated=simulated)
    ahead = next(later, None)
    rows: list[tuple[Any, ...]] = []
    failed: list[str] = []
    rounds = zip(asked.iter_rows(named=True), questions, strict=True)
    for row, said in track(rounds, "asking again", len(asked)):
        while ahead is not None and had_come(ahead, row["time"], simulated=simulated):
            histories.add([ahead])
            ahead = next(later, None)
        change: dict[str, Any] = {"k": k or len(row["candidates"]), "diversity": 0.0}
        if within:
            change |= {"allow": row["candidates"], "k": len(row["candidates"])}
        if TIME in served.model.context_kinds:
            change["context"] = {TIME: int(row["time"])} | (said.context or {})
        try:
            found = served.answer(said.model_copy(update=change), histories)
        except TwofoldError as error:
            failed.append(str(error))
            continue
        rows.append((row["unit"], row["request"], [str(one) for one in found.items], found.scores))
    if not rows:
        raise DataError(f"version {number} answers none of {len(asked):,} questions: {failed[0]}")
    if failed:
        notes.append(f"version {number} does not answer {len(failed):,} questions: {failed[0]}")
    target = pl.DataFrame(rows, schema=TARGET, orient="row")
    return Replayed(target.unique(["unit", "request"], keep="first", maintain_order=True), tuple(notes))  # fmt: skip


def had_come(event: Row, when: float, *, simulated: bool) -> bool:
    """Say whether a server had an event when it was asked: it had been received, or where questions tell their own time, it happened before."""
    return event["time"] < when if simulated else event["received"] <= when


def _events(live: Live, *, simulated: bool) -> Iterator[Row]:
    """Yield the events of the store in the order in which they came, or `simulated` in that in which they happened."""
    parts = live.store.all_events()
    if simulated:
        yield from sorted((row for rows in parts for row in rows), key=itemgetter("time"))
        return
    for rows in parts:
        yield from rows
