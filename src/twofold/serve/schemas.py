"""Bodies of requests and answers: every field declared once, unknown ones refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from twofold.data.alone import leaves
from twofold.data.told import LARGEST
from twofold.field_notes import add_notes
from twofold.variety import Diversity

LARGEST_ID = 2**63 - 1
"""Largest integer id."""
LONGEST_HISTORY, LONGEST_LIST, LONGEST_BATCH, LONGEST_EVENTS = 10_000, 1000, 1000, 10_000
"""Items of a history or of allow and deny; items of a list; questions and events of one request."""
MOST_NOTES, LONGEST_NOTE = 20, 1000
"""Notes of one answer, and the characters of each."""
DEEPEST = 3
"""Lists and objects in each other of which a feature may be."""
MOST_COLUMNS = 1000
"""Features or context columns of one body."""
EVENT_FIELDS = ("user", "item", "value", "time", "kind", "session")
"""Columns of the log that `twofold events` writes, beside the circumstances."""
SOMEBODY = ("user", "history", "features", "words")
"""Fields of a question that name or describe a person."""
SECONDS = 1e11
"""A time beyond this (the year 5138) is not in seconds."""

IntegerId = Annotated[StrictInt, Field(ge=-LARGEST_ID, le=LARGEST_ID)]
EventId = Annotated[StrictStr, Field(min_length=1, max_length=128, pattern=r"^[^\x00]+$")]
TextId = Annotated[StrictStr, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")]
Identifier = IntegerId | TextId
"""The caller's id: an integer of 64 bits, or a text of 1 to 512 characters."""
ItemIds = Annotated[list[Identifier], Field(max_length=LONGEST_HISTORY)]
Basket = Annotated[list[Identifier], Field(max_length=LONGEST_LIST)]


def count_of(history: Sequence[Any]) -> int:
    """Return how many items a history holds, those of baskets too."""
    return sum(len(one) if isinstance(one, list) else 1 for one in history)  # pyright: ignore[reportUnknownArgumentType]


def _bounded(history: list[Any]) -> list[Any]:
    if (n := count_of(history)) > LONGEST_HISTORY:
        raise ValueError(f"history holds {n:,} items; at most {LONGEST_HISTORY:,} are read")
    return history


History = Annotated[
    list[Identifier | Basket], Field(max_length=LONGEST_HISTORY), AfterValidator(_bounded)
]
"""Item ids, and lists of those that were taken together; no more than LONGEST_HISTORY in all."""
Words = Annotated[StrictStr, Field(max_length=10_000)]
Length = Annotated[StrictInt, Field(ge=1, le=LONGEST_LIST)]
SCALAR: list[dict[str, Any]] = [
    {"type": "string", "pattern": r"^[^\x00]*$"}, {"type": "boolean"}, {"type": "null"},
    {"type": "integer", "minimum": -LARGEST_ID, "maximum": LARGEST_ID},
    {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
]  # fmt: skip
COLUMN = {"anyOf": [*SCALAR, {"type": "array", "items": {"anyOf": SCALAR}}]}
NAME: dict[str, Any] = {"minLength": 1, "pattern": r"^[^\x00]+$"}


def nested(depth: int) -> list[dict[str, Any]]:
    """Return what a value may be that lists and objects in each other may make up."""
    if not depth:
        return SCALAR
    inner = {"anyOf": nested(depth - 1)}
    objects = {"type": "object", "propertyNames": NAME, "additionalProperties": inner}
    return [*SCALAR, {"type": "array", "items": inner}, objects]


def _columns(names: Any, value: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "object", "propertyNames": names, "additionalProperties": value, "maxProperties": MOST_COLUMNS})  # fmt: skip


MostColumns = Field(max_length=MOST_COLUMNS)
Columns = Annotated[dict[str, Any], MostColumns, _columns(NAME, COLUMN)]
"""Values by name: texts, numbers, or lists of them; `check_columns` holds them to it."""
Features = Annotated[dict[str, Any], MostColumns, _columns(NAME, {"anyOf": nested(DEEPEST)})]
"""The same, and objects and lists of them: what a table of records may hold."""
Circumstances = Annotated[
    dict[str, Any],
    MostColumns,
    _columns({**NAME, "not": {"enum": list(EVENT_FIELDS)}}, COLUMN),
]
"""Columns beside the fields of an event, whose names are taken."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class Described(BaseModel):
    """What all bodies share: the description of the interface has the sentences under their fields."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        """Return the schema of a body."""
        made = handler(core_schema)
        add_notes(handler.resolve_ref_schema(made), cls)
        return made


class Body(Described):
    """What all bodies of requests share."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(*bodies: dict[str, Any], one_of: tuple[str, ...] = ()) -> ConfigDict:
    """Return the configuration of a body with examples; at least one field of `one_of` has to be given."""
    said: dict[str, Any] = {"examples": list(bodies)}
    if one_of:
        given = [{"required": [one], "properties": {one: {"not": {"type": "null"}}}} for one in one_of]  # fmt: skip
        said["anyOf"] = given
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra=said)


class Question(Body):
    """For whom, and what may be listed. A person is named, or described, or both."""

    model_config = example(
        {"user": "42", "k": 10},
        {"history": ["50", "181"], "k": 5, "deny": ["174"]},
        {"history": [["50", "181"], ["174"]], "k": 5},
        {"words": "storm over the coast", "k": 5},
        one_of=SOMEBODY,
    )

    user: Identifier | None = None
    """A user id; one that was never seen is answered too."""
    history: History | None = None
    """A list of item ids or of lists of them, oldest first, in place of what is known of the user; what an inner list holds was taken together."""
    features: Features | None = None
    """User features by name, for models that read them."""
    words: Words | None = None
    """What the person says, for models that read words."""
    context: Columns | None = None
    """Circumstances by name, for models that read them; the time is now unless given."""
    k: Length = 10
    """Length of the list."""
    exclude_seen: StrictBool = True
    """Leave out the items of the history."""
    allow: ItemIds | None = None
    """Items to choose among."""
    deny: ItemIds | None = None
    """Items to leave out."""
    where: Columns | None = None
    """Item features and what they must be: a value, a list of values, or [least, most] of a number."""
    diversity: Diversity = 0.0
    """Weight of variety in maximal marginal relevance; 0 keeps the order."""
    session: TextId | None = None
    """Session id, for experiments that assign by session."""
    time: Seconds | None = None
    """When it is asked, in seconds since 1970 UTC, for replays and simulations: the time of the exposure; now where missing."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        check_somebody(self)
        for name, columns in (
            ("features", self.features),
            ("context", self.context),
            ("where", self.where),
        ):
            check_columns(name, columns or {}, DEEPEST if name == "features" else 1)
        return self


def check_somebody(body: Body) -> None:
    """Refuse a question that neither names nor describes a person.

    Raises
    ------
    ValueError
        Saying how to.
    """
    if all(getattr(body, one) is None for one in SOMEBODY):
        raise ValueError("the question names nobody; give user, history, features or words")


def check_columns(name: str, columns: dict[str, Any], depth: int = 1) -> None:
    """Refuse numbers that are not finite, texts that cannot be kept, and lists and objects in more than `depth` others.

    Raises
    ------
    ValueError
        Naming the column.
    """
    for key, value in columns.items():
        if not key or "\x00" in key:
            raise ValueError(f"{name} has a column without a name; name it")
        if depth == 1 and isinstance(value, dict):
            raise ValueError(f"{name}.{key} holds an object; give a text, a number, or a list of them")  # fmt: skip
        for one in leaves(value, depth):
            if isinstance(one, dict | list):
                what, inside = "an object" if isinstance(one, dict) else "a list", "a list" if depth == 1 else f"{depth} others"  # fmt: skip
                raise ValueError(f"{name}.{key} holds {what} in {inside}; give a text, a number, or a list of them")  # noqa: TRY004  # fmt: skip
            if isinstance(one, float) and not abs(one) <= LARGEST:
                raise ValueError(
                    f"{name}.{key} is {one}; give a finite number, within {LARGEST:g} of 0"
                )
            if isinstance(one, int) and not isinstance(one, bool) and abs(one) > LARGEST_ID:
                raise ValueError(f"{name}.{key} is larger than 64 bits; give a smaller number")
            if isinstance(one, str) and "\x00" in one:
                raise ValueError(f"{name}.{key} holds a character of value 0; leave it out")


class Batch(Body):
    """Several questions."""

    model_config = example({"questions": [{"user": "42"}, {"history": ["50"], "k": 5}]})

    questions: Annotated[list[Question], Field(min_length=1, max_length=LONGEST_BATCH)]
    """1 to 1,000 questions."""


class Explanation(Body):
    """Why an item is scored as it is, for somebody who is named or described."""

    model_config = example(
        {"user": "42", "item": "50"},
        {"history": ["181"], "item": "50"},
        {"words": "storm over the coast", "item": "50"},
        one_of=SOMEBODY,
    )

    item: Identifier
    """The item."""
    user: Identifier | None = None
    """A user."""
    history: History | None = None
    """A list of item ids or of lists of them, in place of those of a user."""
    features: Features | None = None
    """User features by name, for models that read them."""
    words: Words | None = None
    """What the person says, for models that read words."""
    context: Columns | None = None
    """Circumstances by name, for models that read them; the time is now unless given."""
    time: Seconds | None = None
    """When it is asked, as of a question; now where missing."""
    k: Length = 10
    """Most reasons to name."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        check_somebody(self)
        check_columns("features", self.features or {}, DEEPEST)
        check_columns("context", self.context or {})
        return self


class Event(Body):
    """Something that a person did with an item."""

    model_config = example(
        {"id": "e-1", "user": "42", "item": "50", "kind": "click", "time": 1700000000},
        {"user": "42", "item": "50", "kind": "rating", "value": 4.5},
        {"user": "42", "item": "50", "context": {"device": "phone", "hour": 21}},
    )

    user: Identifier
    """Who."""
    item: Identifier
    """With what."""
    id: EventId | None = None
    """Name of the event: the same one is counted once, however often it is sent. Made up where missing."""
    kind: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "interaction"
    """What was done: click, play, purchase, rating, impression, ..."""
    value: Number | None = None
    """Rating, count, price, seconds."""
    time: Seconds | None = None
    """Seconds since 1970 UTC; now where missing."""
    request_id: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    """The answer that the item was listed in."""
    session: TextId | None = None
    """Session id."""
    context: Circumstances | None = None
    """The circumstances it happened in, by name; kept for the next training."""

    @model_validator(mode="after")
    def _circumstances(self) -> Self:
        check_columns("context", self.context or {})
        for name in self.context or {}:
            if name in EVENT_FIELDS:
                raise ValueError(f"context.{name} has the name of a field of the event; send it as that field")  # fmt: skip
        return self


class Item(Body):
    """What is known of an item."""

    model_config = example({"features": {"title": "Storm over the coast", "genres": ["drama"]}})

    features: Annotated[Features, Field(default_factory=dict)]
    """The item features of training, by name."""

    @model_validator(mode="after")
    def _finite(self) -> Self:
        check_columns("features", self.features, DEEPEST)
        return self


class Registration(Body):
    """A model to add to the registry."""

    model_config = example({"path": "runs/second"})

    path: Annotated[StrictStr, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
    """A run folder or saved model on the server's machine."""


class Promotion(Body):
    """How to promote."""

    model_config = example({}, {"other_data": True, "note": "trained on a new log"})

    force: StrictBool = False
    """Promote although the checks say no; what they say is kept with the promotion."""
    other_data: StrictBool = False
    """Its report may be of other data than the live model's, as of every model of a new log: reports are not compared then, all else is checked."""
    note: Annotated[StrictStr, Field(max_length=1000, pattern=r"^[^\x00]*$")] = ""
    """Why."""


class Shadow(Body):
    """Which version answers silently beside the live one."""

    model_config = example({"version": 2, "share": 0.1}, {"version": None})

    version: Annotated[StrictInt, Field(ge=1, le=2**31)] | None = None
    """The version; null ends it."""
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    """Share of the people whose questions it gets, always the same ones."""
