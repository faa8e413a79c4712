"""An answer as it is sent, and its exposure as it is logged."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from twofold.models._base import FittedModel
from twofold.serve.growth import notes
from twofold.serve.schemas import Question
from twofold.serve.served import Answer
from twofold.serve.store import Row
from twofold.serve.variants import Arm, Trace
from twofold.typing import Id
from twofold.unseen import gathered

if TYPE_CHECKING:
    from twofold.serve.live import Live
    from twofold.serve.turns import Turn


class Similar(NamedTuple):
    """Items that are like one, with their likeness, and what there is to say where there are none."""

    items: list[tuple[Id, float]]
    notes: list[str]


def similar_to(model: FittedModel, item: Id, k: int, hidden: Collection[Id]) -> Similar:
    """Return the `k` items most like `item` that are not `hidden`."""
    with gathered() as said:
        frame = model.similar_items(item, k + len(hidden))
    pairs = zip(frame["item"].to_list(), frame["score"].to_list(), strict=True)
    return Similar([one for one in pairs if one[0] not in hidden][:k], notes(said))


def told(live: Live, one: Turn, answer: Answer, request_id: str) -> dict[str, Any]:
    """Return an answer as it is sent, and log the exposure."""
    question, assignment, served = one.question, one.assignment, one.served
    live.metrics.answer(served.version, assignment.variant, answer.source)
    trace = answer.trace
    arms = assignment.arms
    if not arms and (live.settings.exposures or trace is not None):
        unit = question.session if question.user is None else str(question.user)
        arms = (Arm("", assignment.variant, unit or request_id),)
    if arms:
        now = live.now() if question.time is None else question.time
        row = exposure(served.version, question, answer, request_id, now)
        live.store.add_exposures([arm.exposure(row) for arm in arms])
    items = [
        {"item": item, "score": score, "source": source}
        for item, score, source in zip(answer.items, answer.scores, answer.sources, strict=True)
    ]
    said: dict[str, Any] = {
        "items": items,
        "model": served.name,
        "version": served.version,
        "variant": assignment.variant,
        "source": answer.source,
        "request_id": request_id,
    }
    if answer.notes:
        said["notes"] = list(answer.notes)
    if assignment.arms:
        said["experiments"] = {arm.experiment: arm.variant for arm in assignment.arms}
    if trace is not None and trace.propensities is not None:
        said["propensity"] = math.prod(trace.propensities)
        for line, chance in zip(items, trace.propensities, strict=True):
            line["propensity"] = chance
    if trace is not None and trace.versions is not None:
        for line, version in zip(items, trace.versions, strict=True):
            line["version"] = version
    return said


def exposure(version: int, question: Question, answer: Answer, request_id: str, now: float) -> Row:
    """Return the row of the exposure log that an answer makes, but for who was exposed."""
    trace = answer.trace or Trace()
    detail: dict[str, Any] = {
        name: value
        for name in ("candidates", "teams", "ranking_a", "ranking_b", "versions")
        if (value := getattr(trace, name)) is not None
    }
    if trace.candidates is not None:
        # As text inside the text: another version is asked the same, for off-policy estimates.
        detail["question"] = question.model_dump_json(exclude_defaults=True)
    chances = trace.propensities
    return {
        "request_id": request_id,
        "version": version,
        "source": answer.source,
        "items": orjson.dumps(answer.items).decode(),
        "propensities": None if chances is None else orjson.dumps(chances).decode(),
        "time": now,
        "detail": orjson.dumps(detail).decode() if detail else None,
    }
