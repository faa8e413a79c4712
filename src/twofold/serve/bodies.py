"""Bodies of answers, as the description of the interface gives them: with examples, open to further fields."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from twofold.serve.schemas import LONGEST_NOTE, MOST_NOTES, Described


def answered(*bodies: dict[str, Any]) -> ConfigDict:
    """Return the configuration of an answer with examples."""
    return ConfigDict(
        extra="allow",
        defer_build=True,
        json_schema_extra={"examples": list(bodies)},
    )


Notes = Annotated[
    list[Annotated[str, Field(max_length=LONGEST_NOTE)]], Field(max_length=MOST_NOTES)
]
ABOUT = {"model": "IALS", "version": 1, "variant": "live", "source": "model", "request_id": "3f2a9c1e-7"}  # fmt: skip
LINE = {"item": "172", "score": 0.93, "source": "model"}


class About(Described):
    """What every answer says of itself."""

    model_config = answered(ABOUT)

    model: str
    """Class of the model."""
    version: int
    """Version in the registry."""
    variant: str
    """Arm of the experiment; live without one."""
    source: str
    """How the answer was made: model, fold-in, content, fallback:popularity, ..."""
    request_id: str
    """Name of the answer, for events that follow from it."""


class Listed(Described):
    """An item of a list."""

    model_config = answered(LINE)

    item: int | str
    """Its id."""
    score: float | None
    """What the list is ordered by."""
    source: str
    """How its score was made."""
    propensity: float | None = None
    """Where lists are drawn: the chance of this item at this place, given those above it."""
    version: int | None = None
    """Where lists are interleaved: the version that it came from."""


class List(About):
    """A list, best first."""

    model_config = answered({"items": [LINE]} | ABOUT)

    items: list[Listed]
    """Best first."""
    notes: Notes | None = None
    """What the asker should know of the question: values of context and features that the model never learned, columns that it does not read. Missing where there is nothing to say."""
    experiments: dict[str, str] | None = None
    """Variant by experiment that this person or session takes part in; missing without any."""
    propensity: float | None = None
    """Where lists are drawn: the chance of this list, the product over its places."""


class Lists(About):
    """Lists of several questions."""

    model_config = answered({"answers": [{"items": [LINE]} | ABOUT]} | ABOUT | {"source": "batch"})

    answers: list[List]
    """One a question, in their order."""


class Reasons(About):
    """Why an item is scored as it is."""

    model_config = answered({"reasons": [{"item": "50", "contribution": 0.4, "score": 0.93, "kind": "history", "reason": "50"}]} | ABOUT)  # fmt: skip

    reasons: list[dict[str, Any]]
    """What is known of the person, the strongest first, with what the score would lose without each: an item of the history, a word (kind text), a feature or a circumstance (kinds features and context, with reason name=value)."""
    notes: Notes | None = None
    """Values of context and features that the model never learned, columns that it does not read, the time that was taken for now; missing without any."""


class Near(Described):
    """An item that is like another."""

    item: int | str
    """Its id."""
    score: float | None
    """How like."""


class Similar(About):
    """The items most like an item."""

    model_config = answered({"items": [{"item": "181", "score": 0.8}]} | ABOUT)

    items: list[Near]
    """Most like first."""
    notes: Notes | None = None
    """Why nothing is listed, where nothing is known of the item; missing without."""


class Kept(About):
    """What became of events."""

    model_config = answered({"accepted": 1, "duplicates": 0, "ids": ["e-1"]} | ABOUT | {"source": "store"})  # fmt: skip

    accepted: int
    """Events that are new, and on disk."""
    duplicates: int
    """Events that were kept before."""
    ids: list[str]
    """Their ids, in the order in which they were sent."""
    notes: Notes | None = None
    """Items that the catalogue does not have, circumstances that the live model does not read though it reads others; missing without any."""


class Added(About):
    """An item that was added."""

    model_config = answered({"item": "new-1", "known": False} | ABOUT | {"source": "content"})

    item: str
    """Its id."""
    known: bool
    """Whether training knew it."""
    notes: Notes | None = None
    """What of its features is passed over and why: values and columns that the model never learned, a sound that cannot be heard, others than in training; missing without any."""


class Withdrawn(About):
    """An item that is listed no more."""

    model_config = answered({"item": "50", "withdrawn": True} | ABOUT | {"source": "store"})

    item: str
    """Its id."""
    withdrawn: bool
    """True."""


class Models(Described):
    """Versions, and what was done to them."""

    model_config = answered({"live": 1, "shadow": None, "versions": [{"version": 1, "model": "IALS", "path": "/runs/ials/model", "registered": 1700000000.0, "live": True, "report": None}], "changes": [{"seq": 1, "time": 1700000000.0, "action": "start", "version": 1, "share": None, "note": "first version"}]})  # fmt: skip

    live: int
    """The version that answers."""
    shadow: int | None
    """The version that answers silently."""
    versions: list[dict[str, Any]]
    """All of them, with their offline reports."""
    changes: list[dict[str, Any]]
    """What was done, oldest first."""
    notes: Notes | None = None
    """Added items that the live version goes without or reads in part, such as those whose sounds are gone. Missing without any."""


class Registered(Described):
    """A version that was registered."""

    model_config = answered({"version": 2})

    version: int
    """Its number; the one that it had where it was registered before."""


class Promoted(Described):
    """A version that is live now."""

    model_config = answered({"live": 2, "before": 1, "objections": []})

    live: int
    """The version that answers now."""
    before: int
    """The version that answered before."""
    objections: list[str] = Field(default_factory=list)
    """What was passed over by force."""
    notes: Notes | None = None
    """Features of training that added items were told without, or in another kind: they are missing in them. Missing without any."""


class Shadowed(Described):
    """The version that answers silently."""

    model_config = answered({"shadow": 2, "share": 0.1}, {"shadow": None})

    shadow: int | dict[str, Any] | None
    """Its number, or where its lists differ; null without one."""


class Experiments(Described):
    """The running experiments."""

    model_config = answered({"experiments": ["first"]})

    experiments: list[Any]
    """Their names."""


class Shown(Described):
    """What an experiment shows so far."""

    model_config = answered({"name": "first", "headline": "nobody has taken part yet", "comparisons": []})  # fmt: skip

    name: str
    """The experiment."""
    headline: str
    """The verdict in one sentence."""


class Health(Described):
    """That the process runs."""

    model_config = answered({"status": "ok"})

    status: str
    """ok."""


class Ready(Described):
    """Whether questions are answered."""

    model_config = answered({"ready": True, "model": "IALS", "version": 1, "store": "reachable"})

    ready: bool
    """Whether questions are answered."""
    model: str
    """Class of the live model."""
    version: int
    """The live version."""
    store: str
    """reachable, or away."""


class Problem(Described):
    """What went wrong."""

    code: str
    """One word for programs."""
    message: str
    """One sentence: what was wrong, with what was sent."""
    hint: str
    """What is allowed, or what to do."""


class Failure(Described):
    """The shape of every error."""

    model_config = answered({"error": {"code": "unknown_field", "message": "there is no field 'usr'", "hint": "did you mean 'user'?"}})  # fmt: skip

    error: Problem
    """What went wrong."""


ANSWERS = (
    Added, Experiments, Failure, Health, Kept, List, Lists, Models, Promoted, Ready, Reasons,
    Registered, Shadowed, Shown, Similar, Withdrawn,
)  # fmt: skip
"""Everything that a route may name as its answer."""
