"""Failures as answers: one shape, ``{"error": {"code", "message", "hint"}}``."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, cast, get_args

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response

from twofold.errors import (
    ConfigError,
    DataError,
    IncompatibleFileError,
    MissingDependencyError,
    TwofoldError,
    UnknownIdError,
    did_you_mean,
)
from twofold.field_notes import field_notes

STATUS: tuple[tuple[type[TwofoldError], int, str], ...] = (
    (UnknownIdError, 404, "unknown_id"),
    (IncompatibleFileError, 409, "bad_model"),
    (MissingDependencyError, 501, "not_installed"),
    (ConfigError, 422, "bad_request"),
    (DataError, 422, "bad_request"),
)
"""Which status and code an error of the library is answered with."""
SAID_ELSEWHERE = {"text": "words", "users": "user", "histories": "history"}
"""What Python and the command line call a field of a question."""
AHEAD = 86_400
"""Seconds by which a time that a client tells may lie ahead of the server's clock."""
LONGEST = 200
"""Characters of what a client sent that are repeated to it."""


class Refused(TwofoldError):
    """A request that is not answered; `status` and `code` say why."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.status, self.code, self.message, self.hint = status, code, message, hint
        self.headers = headers or {}


def refusal(error: TwofoldError) -> Refused:
    """Return an error of the library as a refusal; its sentence is parted at the first semicolon."""
    if isinstance(error, Refused):
        return error
    found = [(status, code) for kind, status, code in STATUS if isinstance(error, kind)]
    status, code = found[0] if found else (500, "failed")
    message, _, hint = str(error).partition("; ")
    return Refused(status, code, message, hint)


@contextmanager
def saying_which(at: int) -> Generator[None]:
    """Let a refusal say which question of a batch it is of.

    Raises
    ------
    Refused
        What was raised inside.
    """
    try:
        yield
    except TwofoldError as error:
        found = refusal(error)
        said = f"questions.{at}: {found.message}"
        raise Refused(found.status, found.code, said, found.hint, found.headers) from error


def answer(error: Refused) -> Response:
    """Return the response of a refusal."""
    body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    return Response(
        orjson.dumps(body), error.status, headers=error.headers, media_type="application/json"
    )


def of_validation(error: ValidationError, model: type[BaseModel]) -> Refused:
    """Turn what pydantic says into one sentence about the first fault, with what is allowed."""
    faults = innermost(error.errors(include_url=False))
    fault = faults[0]
    model = holder(model, fault["loc"])
    place = ".".join(map(str, place_of(fault)))
    given = shown(fault["input"])
    if fault["type"] == "json_invalid":
        reason = str(fault.get("ctx", {}).get("error", "it cannot be read"))
        return Refused(400, "bad_json", f"the body is not JSON: {reason}", "send a JSON object")
    if fault["type"] == "extra_forbidden":
        name = str(fault["loc"][-1])
        return Refused(
            422,
            "unknown_field",
            f"there is no field {shown(name)}",
            did_you_mean(SAID_ELSEWHERE.get(name, name), fields_of(model)),
        )
    if fault["type"] == "missing":
        return Refused(422, "bad_request", f"{place} is missing", f"give {place}")
    each = [one["msg"].removeprefix("Input should be ") for one in faults]
    said = " or ".join(dict.fromkeys(one[:1].lower() + one[1:] for one in each))
    if fault["msg"].startswith("Input should be "):
        said = f"input should be {said}"
    own = fault.get("ctx", {}).get("error")
    if isinstance(own, ValueError):
        message, _, hint = str(own).partition("; ")
        at = f"{place}: " if place else ""
        return Refused(422, "bad_request", f"{at}{message}", hint)
    notes = field_notes(model)
    meant = next((notes[one] for one in reversed(fault["loc"]) if one in notes), "")
    hint = f"{said}: {meant}" if meant else said
    return Refused(422, "bad_request", f"{place or 'the body'} got {given}", hint)


def innermost(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return what is said of the first wrong value: by every branch of a union, at the place that is farthest inside.

    A list in a place where ids or lists of ids may stand is wrong for what it holds, not for being no id.
    """
    first = place_of(faults[0])
    of_first = [one for one in faults if place_of(one)[: len(first)] == first]
    chosen = max((place_of(one) for one in of_first), key=len)
    return [one for one in of_first if place_of(one) == chosen]


def place_of(fault: ErrorDetails) -> tuple[int | str, ...]:
    """Return where a fault is, without the branches of unions."""
    return tuple(part for part in fault["loc"] if not is_branch(part))


def is_branch(part: object) -> bool:
    """Say whether a part of a place names the branch of a union and not a field."""
    return isinstance(part, str) and (part in BRANCHES or "[" in part)


BRANCHES = {"int", "str", "float", "bool", "constrained-int", "constrained-str", "list", "dict"}


def holder(model: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the part of a body that holds the field at a place: a question, where one of several is wrong."""
    for part in place[:-1]:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        for inner in get_args(field.annotation) if field else ():
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                model = inner
    return model


def fields_of(model: type[BaseModel]) -> Iterable[str]:
    """Return the names of the fields of a body."""
    return model.model_fields


def shown(value: Any) -> str:
    """Return what was sent, cut to a length that may be repeated."""
    if isinstance(value, list | tuple | dict):
        held = cast("list[Any]", value)
        return f"{type(held).__name__} of {len(held):,} entries"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"


def unwritten(said: str, *, full: bool, gone: bool) -> Refused:
    """Return the refusal of rows that the store did not take: it is full, out of reach, or says no."""
    if full:
        return Refused(
            507, "store_full", f"the store has no room: {said}",
            "nothing was kept of this request; make room, then send it again",
        )  # fmt: skip
    if gone:
        return Refused(
            503, "store_away", f"the store cannot be reached: {said}",
            "nothing was kept of this request; send it again later", {"retry-after": "1"},
        )  # fmt: skip
    return Refused(
        500, "store_failed", f"the store refused the rows: {said}",
        "nothing was kept of this request; please report it",
    )  # fmt: skip


def check_time(when: float | None, now: float, what: str) -> None:
    """Refuse a time that lies in the future.

    Raises
    ------
    Refused
        If it does; milliseconds are told.
    """
    if when is not None and when > now + AHEAD:
        hint = "give seconds since 1970"
        if when / 1000 <= now + AHEAD:
            hint += f"; this looks like milliseconds: {when / 1000:.3f}"
        raise Refused(422, "bad_time", f"the time {when:.0f} of {what} lies in the future", hint)
