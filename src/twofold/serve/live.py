"""The state of a server, and what it does with it: answer, take events, add items, swap versions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numba
import orjson

from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, TwofoldError
from twofold.models._base import FittedModel
from twofold.serve.failures import Refused, refusal
from twofold.serve.guardrails import NOBODY, Candidate, objections
from twofold.serve.histories import LiveHistories
from twofold.serve.metrics import Metrics
from twofold.serve.registry import PROMOTE, ROLL_BACK, SHADOW, START, Registered, Registry, before
from twofold.serve.schemas import Event, Explanation, Question
from twofold.serve.served import Answer, Asked, Served
from twofold.serve.settings import Settings
from twofold.serve.shadow import Shadow
from twofold.serve.store import Row, Store, id_bits
from twofold.serve.tables import ITEMS
from twofold.serve.variants import Assigner, Assignment, Everybody
from twofold.typing import Id

log = logging.getLogger(__name__)
T = TypeVar("T")

AHEAD = 86_400
"""Seconds by which the time of an event may lie ahead of the server's clock."""


class Live:
    """An opened server. What changes in it changes on the event loop's thread alone.

    Versions are replaced, never changed, so that a question is answered by one version from beginning to end.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        registry: Registry,
        served: Served,
        base: FittedModel,
    ) -> None:
        self.settings = settings
        self.store = store
        self.registry = registry
        self.served = served
        self.base = base
        """The live model without added items."""
        self.histories = LiveHistories(settings.history, settings.kinds)
        self.assigner: Assigner = Everybody()
        self.shadow: Shadow | None = None
        self.others: dict[int, Served] = {}
        """Versions beside the live one that an experiment asks."""
        self.items: dict[Id, dict[str, Any]] = {}
        """Features of the items that were added."""
        self.withdrawn: set[Id] = set()
        self.metrics = Metrics()
        self.ready = False
        self._clock = 0.0
        self._change = 0
        self._changing = asyncio.Lock()
        # A kernel that is parallel may not be called from two threads with numba's simplest layer.
        self._threads = ThreadPoolExecutor(1, "ranking") if numba.threading_layer() != "workqueue" else None  # fmt: skip
        self._waiting = ThreadPoolExecutor(2, "waiting")
        self.metrics.version.set(served.version)

    @classmethod
    def open(cls, settings: Settings, extra: Iterable[type] = (), *, events: bool = True) -> Live:
        """Open the store and the live model, and read the events of the store.

        Parameters
        ----------
        settings
            How to serve.
        extra
            Classes of your own models.
        events
            Whether to read the events; without, it can change versions but not answer.

        Raises
        ------
        ConfigError
            If no model is named, here or by the state.
        DataError
            If the store cannot be opened.
        IncompatibleFileError
            If the model is damaged.
        """
        try:
            Path(settings.state).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot make {settings.state}: {error.strerror}; choose another --state"
            ) from error
        store = Store(settings.url, patience=settings.patience)
        try:
            registry = Registry(store, extra)
            named = None if settings.model is None else registry.register(settings.model)
            found = registry.read()
            if found.live is None:
                if named is None:
                    raise ConfigError(
                        f"{settings.state} names no live model; say which: twofold serve RUN --state {settings.state}"
                    )
                registry.change(START, named, "first version")
                found = registry.read()
            elif named is not None and named != found.live:
                log.warning(
                    "version %d stays live; %s is registered as version %d: promote it to serve it",
                    found.live, settings.model, named,
                )  # fmt: skip
            number = found.live
            if number is None:
                raise ConfigError(f"{settings.state} names no live model; name one")
            base = registry.open(found.version(number))
            warm(base)
            made = cls(settings, store, registry, Served.of(number, base), base)
            made.recall(found, events=events)
        except TwofoldError:
            store.close()
            raise
        return made

    def recall(self, found: Registered, *, events: bool) -> None:
        """Take up what the store holds: items, events, the shadow."""
        for row in self.store.rows(ITEMS):
            self._take_item(row)
        if self.items or self.withdrawn:
            self.served = self.with_items(self.served)
        if events:
            for rows in self.store.all_events():
                self.histories.add(rows)
        self._change = max((row["seq"] for row in found.changes), default=0)
        if found.shadow is not None and events:
            try:
                self.shadow = Shadow(self.open_version(found, found.shadow)[0], found.share)
            except TwofoldError as error:
                log.warning("the shadow version %d cannot be opened: %s", found.shadow, error)
        self._gauges()

    # ---- lists ------------------------------------------------------------------------------

    async def recommend(self, question: Question, request_id: str) -> dict[str, Any]:
        """Answer one question."""
        assignment = self.assigner.assign(question.user, question.session)
        served = self.pick(assignment)
        began = time.perf_counter()
        asked = served.asked(question, self.histories)
        if served.is_quick(question):
            answer = served.of_asked(asked, question)
        else:
            answer = await self.work(served.of_asked, asked, question)
        seconds = time.perf_counter() - began
        if self.shadow is not None and self.shadow.takes(question):
            self._ask_shadow(self.shadow, question, answer, seconds)
        return self.told(served, assignment, question, answer, request_id)

    async def batch(self, questions: Sequence[Question], request_id: str) -> list[dict[str, Any]]:
        """Answer several questions, beside others that come in meanwhile."""
        parts: list[tuple[Assignment, Served, Asked, Question]] = []
        for question in questions:
            assignment = self.assigner.assign(question.user, question.session)
            served = self.pick(assignment)
            parts.append((assignment, served, served.asked(question, self.histories), question))

        def make() -> list[Answer]:
            return [served.of_asked(asked, question) for _, served, asked, question in parts]

        answers = await self.work(make)
        return [
            self.told(served, assignment, question, answer, f"{request_id}.{at}")
            for at, ((assignment, served, _, question), answer) in enumerate(
                zip(parts, answers, strict=True)
            )
        ]

    def pick(self, assignment: Assignment) -> Served:
        """Return the version that an assignment asks for."""
        if assignment.version is None:
            return self.served
        return self.others.get(assignment.version, self.served)

    def told(
        self,
        served: Served,
        assignment: Assignment,
        question: Question,
        answer: Answer,
        request_id: str,
    ) -> dict[str, Any]:
        """Return an answer as it is sent, and log the exposure."""
        self.metrics.answer(served.version, assignment.variant, answer.source)
        if assignment.experiment is not None or self.settings.exposures:
            unit = question.session if question.user is None else str(question.user)
            self.store.add_exposures(
                [
                    {
                        "request_id": request_id,
                        "unit": unit or request_id,
                        "experiment": assignment.experiment,
                        "variant": assignment.variant,
                        "version": served.version,
                        "source": answer.source,
                        "items": orjson.dumps(answer.items).decode(),
                        "propensities": None,
                        "time": self.now(),
                    }
                ]
            )
        return {
            "items": [
                {"item": item, "score": score, "source": source}
                for item, score, source in zip(
                    answer.items, answer.scores, answer.sources, strict=True
                )
            ],
            "model": served.name,
            "version": served.version,
            "variant": assignment.variant,
            "source": answer.source,
            "request_id": request_id,
        }

    def about(self, source: str, request_id: str) -> dict[str, Any]:
        """Return what every answer says of itself."""
        return {
            "model": self.served.name,
            "version": self.served.version,
            "variant": "live",
            "source": source,
            "request_id": request_id,
        }

    def _ask_shadow(self, shadow: Shadow, question: Question, live: Answer, live_seconds: float) -> None:  # fmt: skip
        """Ask the candidate when the answer is on its way."""
        try:
            asked = shadow.served.asked(question, self.histories)
        except TwofoldError as error:
            shadow.note_failure(str(error))
            return

        def make() -> None:
            began = time.perf_counter()
            try:
                own = shadow.served.of_asked(asked, question)
            except TwofoldError as error:
                shadow.note_failure(str(error))
                return
            shadow.note(live, own, time.perf_counter() - began, live_seconds)

        if self._threads is None:
            make()
        else:
            self._threads.submit(make)

    async def similar(self, item: str, k: int) -> list[dict[str, Any]]:
        """Return the items most like an item."""
        served = self.served
        frame = await self.work(served.model.similar_items, item, k + len(self.withdrawn))
        rows = [row for row in frame.to_dicts() if row["item"] not in self.withdrawn]
        return [{"item": row["item"], "score": row["score"]} for row in rows[:k]]

    async def explain(self, body: Explanation) -> list[dict[str, Any]]:
        """Return the history items that raise the score of an item."""
        served = self.served
        history: list[Id] | None = body.history
        if history is None and body.user is not None:
            history = served.history_of(body.user, self.histories)
        user = body.user if history is None else None

        def make() -> list[dict[str, Any]]:
            frame = served.model.explain(user, body.item, history=history)
            return frame.head(body.k).to_dicts()

        return await self.work(make)

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run what takes long beside the event loop.

        Raises
        ------
        Refused
            If it does not end in time.
        """
        if self._threads is None:
            return function(*arguments)
        task = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self.settings.timeout)
        except TimeoutError as error:
            raise Refused(
                503, "timeout", f"the answer took more than {self.settings.timeout:g} s",
                "ask for less, or again later", {"retry-after": "1"},
            ) from error  # fmt: skip

    # ---- events -----------------------------------------------------------------------------

    def now(self) -> float:
        """Return the time, which never runs backwards."""
        self._clock = max(self._clock, time.time())
        return self._clock

    async def take(self, events: Sequence[Event]) -> dict[str, Any]:
        """Keep events; when this returns they are on disk and in the histories.

        Raises
        ------
        Refused
            If a time cannot be right, or the store does not take them.
        """
        now = self.now()
        rows = [event_row(one, now) for one in events]
        fresh = await asyncio.wrap_future(self.store.add_events(rows))
        added: list[Row] = []
        for row in rows:
            number = fresh.pop(row["id"], None)
            if number is not None:
                added.append({**row, "seq": number})
        self.histories.add(added)
        self.metrics.events.labels("accepted").inc(len(added))
        self.metrics.events.labels("duplicate").inc(len(rows) - len(added))
        return {
            "accepted": len(added),
            "duplicates": len(rows) - len(added),
            "ids": [row["id"] for row in rows],
        }

    # ---- items ------------------------------------------------------------------------------

    async def put_item(self, text: str, features: dict[str, Any]) -> bool:
        """Add an item by content, or list one again that was withdrawn; say whether training knew it.

        Raises
        ------
        Refused
            If the id is not of the catalogue's kind.
        DataError
            If the model does not read content, or a feature is missing or of another kind.
        """
        item = self.own_id(text)
        async with self._changing:
            known = int(self.base.items.ids.rows([item])[0]) != UNKNOWN
            items, withdrawn = dict(self.items), self.withdrawn - {item}
            again = item in items
            if not known:
                items[item] = features
            served, base = self.served, self.base

            def grow() -> Served:
                if known:
                    return served.grown({}, list(withdrawn))
                if again:
                    return Served.of(served.version, base).grown(items, list(withdrawn))
                return served.grown({item: features}, list(withdrawn))

            made = await self.work(grow)
            await asyncio.wrap_future(
                self.store.put_item(item, features, self.now(), withdrawn=False)
            )
            self.items, self.withdrawn, self.served = items, withdrawn, made
        return known

    async def withdraw(self, text: str) -> None:
        """List an item no more.

        Raises
        ------
        Refused
            If it is not known.
        """
        item = self.own_id(text)
        async with self._changing:
            row = int(self.served.model.items.ids.row(item))
            item = self.served.ids[row]
            withdrawn = self.withdrawn | {item}
            made = await self.work(self.served.grown, {}, list(withdrawn))
            await asyncio.wrap_future(self.store.put_item(item, None, self.now(), withdrawn=True))
            self.withdrawn, self.served = withdrawn, made

    def own_id(self, text: str) -> Id:
        """Return an id of a path as the catalogue has it.

        Raises
        ------
        Refused
            If the catalogue has integers and this is none.
        """
        if not self.base.items.ids.is_integer:
            return text
        try:
            return int(text)
        except ValueError as error:
            raise Refused(
                422, "bad_request", f"the item ids of this catalogue are integers; got {text!r}",
                "give an integer",
            ) from error  # fmt: skip

    def _take_item(self, row: Row) -> None:
        item: Id = int(row["item_id"]) if row["is_integer"] else row["item_id"]
        if row["withdrawn"]:
            self.withdrawn.add(item)
        else:
            self.withdrawn.discard(item)
        features = orjson.loads(row["features"])
        if features and int(self.base.items.ids.rows([item])[0]) == UNKNOWN:
            self.items[item] = features

    def with_items(self, served: Served) -> Served:
        """Return a version with the added items, as far as the model reads content."""
        if self.items and served.model.reads_content:
            try:
                return served.grown(self.items, list(self.withdrawn))
            except DataError as error:
                log.warning("version %d goes without the added items: %s", served.version, error)
        return served.grown({}, list(self.withdrawn)) if self.withdrawn else served

    # ---- versions ---------------------------------------------------------------------------

    def open_version(self, found: Registered, number: int) -> tuple[Served, FittedModel]:
        """Open a version and make it ready; also return its model without added items."""
        base = self.registry.open(found.version(number))
        warm(base)
        return self.with_items(Served.of(number, base)), base

    async def register(self, path: str) -> int:
        """Add a model to the registry."""
        return await self.wait(self.registry.register, path)

    async def promote(self, number: int, *, force: bool, note: str) -> dict[str, Any]:
        """Make a version live if nothing speaks against it, or by force.

        Raises
        ------
        Refused
            If the checks say no.
        """
        async with self._changing:
            found = await self.wait(self.registry.read)
            if found.live == number == self.served.version:
                raise Refused(409, "already_live", f"version {number} is live", "promote another")
            wanted = found.version(number)
            current = found.version(self.served.version)
            live = self.served

            def prepare() -> tuple[Served, FittedModel, list[str]]:
                made, base = self.open_version(found, number)
                against = objections(
                    Candidate(made, wanted.report, wanted.data),
                    Candidate(live, current.report, current.data),
                    self.settings,
                )
                return made, base, against

            made, base, against = await self.wait(prepare)
            if against and not force:
                raise Refused(
                    409, "refused", f"version {number} is not promoted: {'; '.join(against)}",
                    "train a better one, or promote with force",
                )  # fmt: skip
            said = "; ".join([*([note] if note else []), *(f"forced: {one}" for one in against)])
            await self.wait(self.registry.change, PROMOTE, number, said)
            self._swap(made, base)
            self.metrics.changes.labels(PROMOTE).inc()
        return {"live": number, "before": live.version, "objections": against}

    async def roll_back(self) -> dict[str, Any]:
        """Make the version live that was so before."""
        async with self._changing:
            found = await self.wait(self.registry.read)
            number = before(found)
            made, base = await self.wait(self.open_version, found, number)
            gone = self.served.version
            await self.wait(self.registry.change, ROLL_BACK, number, f"from version {gone}")
            self._swap(made, base)
            self.metrics.changes.labels(ROLL_BACK).inc()
        return {"live": number, "before": gone}

    async def set_shadow(self, number: int | None, share: float) -> None:
        """Begin or end to ask a candidate beside the live version."""
        async with self._changing:
            made = None
            if number is not None:
                found = await self.wait(self.registry.read)
                made, _ = await self.wait(self.open_version, found, number)
            await self.wait(self.registry.change, SHADOW, number, "", share)
            self.shadow = None if made is None else Shadow(made, share)
            self.metrics.changes.labels(SHADOW).inc()

    def _swap(self, served: Served, base: FittedModel) -> None:
        """Answer with another version from now on; questions under way end with the one before."""
        self.served, self.base = served, base
        self.metrics.version.set(served.version)

    async def wait(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run what may wait for a disk or a database beside the event loop and the lists."""
        return await asyncio.get_running_loop().run_in_executor(self._waiting, function, *arguments)

    # ---- while it runs ----------------------------------------------------------------------

    async def watch(self) -> None:
        """Follow what other processes do to the store, and delete what is too old."""
        retain = 0.0
        while True:
            await asyncio.sleep(self.settings.poll)
            if not await self.wait(self.store.ping):
                self._gauges()
                continue
            with contextlib.suppress(Refused):
                await self.follow()
                if self.settings.retention_days and time.monotonic() >= retain:
                    retain = time.monotonic() + 600
                    await self.retain()
            self._gauges()

    async def follow(self) -> None:
        """Take up events and changes that other processes wrote."""
        numbers = await self.wait(self.store.numbers_after, self.histories.floor)
        missing = [one for one in numbers if not self.histories.has(one)]
        if missing:
            self.histories.add(await self.wait(self.store.events_at, missing))
        if numbers and self.store.in_order:
            self.histories.settle(numbers[-1])
        last = await self.wait(self.store.last_change)
        if last == self._change:
            return
        async with self._changing:
            found = await self.wait(self.registry.read)
            self._change = last
            try:
                if found.live is not None and found.live != self.served.version:
                    self._swap(*await self.wait(self.open_version, found, found.live))
                running = None if self.shadow is None else self.shadow.served.version
                if found.shadow != running:
                    self.shadow = None
                    if found.shadow is not None:
                        made, _ = await self.wait(self.open_version, found, found.shadow)
                        self.shadow = Shadow(made, found.share)
            except TwofoldError as error:
                log.error("version %s stays live: %s", self.served.version, error)

    async def retain(self) -> None:
        """Delete what is older than is kept."""
        cutoff = self.now() - 86_400 * self.settings.retention_days
        while await asyncio.wrap_future(self.store.delete_before(cutoff)):
            await asyncio.sleep(0)
        self.histories.forget_before(cutoff)

    def _gauges(self) -> None:
        self.metrics.people.set(len(self.histories))
        self.metrics.held.set(self.histories.count)
        self.metrics.lost.set(self.store.lost)
        self.metrics.store.set(int(self.store.reachable))

    def close(self) -> None:
        """Write what waits, then let go of everything."""
        for pool in (self._threads, self._waiting):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self.store.close()


def event_row(event: Event, now: float) -> Row:
    """Return an event as it is kept.

    Raises
    ------
    Refused
        If it lies in the future.
    """
    when = now if event.time is None else event.time
    if when > now + AHEAD:
        hint = "give seconds since 1970"
        if when / 1000 <= now + AHEAD:
            hint += f"; this looks like milliseconds: {when / 1000:.3f}"
        raise Refused(422, "bad_time", f"the time {when:.0f} of an event lies in the future", hint)
    return {
        "id": event.id or uuid.uuid4().hex,
        "user_id": str(event.user),
        "item_id": str(event.item),
        "kind": event.kind,
        "value": event.value,
        "time": when,
        "received": now,
        "request_id": event.request_id,
        "session": event.session,
        "ids": id_bits(event.user, event.item),
    }


def warm(model: FittedModel) -> None:
    """Compile what answers need, so that the first question does not wait."""
    served = Served.of(0, model)
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
