"""The state of a server, and what it does with it: answer, take events, add items, swap versions."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import orjson
from numba.np.ufunc.parallel import threading_layer

from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError, TwofoldError
from twofold.explain import reasons
from twofold.models._base import FittedModel
from twofold.serve.answers import Similar, similar_to, told
from twofold.serve.asking import named, passed_over, somebody
from twofold.serve.failures import Refused, saying_which
from twofold.serve.growth import grown_by_what_is_left
from twofold.serve.guardrails import warmed
from twofold.serve.histories import LiveHistories
from twofold.serve.lists import plain
from twofold.serve.metrics import Metrics
from twofold.serve.registry import START, Registered, Registry
from twofold.serve.schemas import MOST_NOTES, Explanation, Question
from twofold.serve.served import Answer, Served
from twofold.serve.settings import Settings
from twofold.serve.shadow import Shadow
from twofold.serve.store import Row, Store
from twofold.serve.tables import ITEMS
from twofold.serve.turns import Turn, turn
from twofold.serve.variants import Assigner, Everybody
from twofold.typing import Id
from twofold.unseen import added_alone, remarks

log = logging.getLogger(__name__)
T = TypeVar("T")


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
        self.others: dict[int, tuple[Served, FittedModel]] = {}
        """Versions that experiments name, each also without added items."""
        self.items: dict[Id, dict[str, Any]] = {}
        """Features of the items that were added."""
        self.withdrawn: set[Id] = set()
        self.metrics = Metrics()
        self.ready = False
        self._clock = 0.0
        self.change_seen = 0
        self.changing = asyncio.Lock()
        # A kernel that is parallel may not be called from two threads with numba's simplest layer.
        self.threads = ThreadPoolExecutor(1, "ranking") if threading_layer() != "workqueue" else None  # fmt: skip
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
        folder = Path(settings.state)
        was_there = folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot make {settings.state}: {error.strerror}; choose another --state"
            ) from error
        store: Store | None = None
        try:
            store = Store(settings.url, patience=settings.patience)
            registry = Registry(store, extra)
            named, model = None, None
            if settings.model is not None:
                named, model = registry.registered(settings.model)
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
            if model is None or named != number:
                model = registry.open(found.version(number))
            made = cls(settings, store, registry, warmed(number, model), model)
            made.recall(found, events=events)
        except TwofoldError:
            if store is not None:
                store.close()
            if not was_there:  # nothing was promised to anybody yet
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return made

    def recall(self, found: Registered, *, events: bool) -> None:
        """Take up what the store holds: items, events, the shadow."""
        for row in self.store.rows(ITEMS):
            self.take_item(row)
        if self.items or self.withdrawn:
            self.served = self.with_items(self.served)
        if events:
            for rows in self.store.all_events():
                self.histories.add(rows)
        self.change_seen = max((row["seq"] for row in found.changes), default=0)
        if self.settings.experiment is not None and events:
            # Statistics take a third of a second to load, for which servers without an experiment do not wait.
            from twofold.serve.cautions import cautions
            from twofold.serve.experiments import Declared

            declared = Declared.read(self.settings.experiment, found)
            for number in set(declared.versions.values()):
                live = number == self.served.version
                self.others[number] = (self.served, self.base) if live else self.open_version(found, number)  # fmt: skip
            self.assigner = declared
            models = {number: base for number, (_, base) in self.others.items()}
            for one in cautions(declared, self.base, models, self.settings.kinds):
                log.warning("%s", one)
        if found.shadow is not None and events:
            try:
                self.shadow = Shadow(self.open_version(found, found.shadow)[0], found.share)
            except TwofoldError as error:
                log.warning("the shadow version %d cannot be opened: %s", found.shadow, error)
        self.gauges()

    # ---- lists ------------------------------------------------------------------------------

    async def recommend(self, question: Question, request_id: str) -> dict[str, Any]:
        """Answer one question."""
        one = turn(self, question, request_id)
        question = one.question
        began = time.perf_counter()
        answer = one.answer() if one.served.is_quick(question) else await self.work(one.answer)
        seconds = time.perf_counter() - began
        if self.shadow is not None and self.shadow.takes(question):
            own = plain(answer, question.k)
            self.shadow.ask(question, self.histories, own, seconds, self.threads)
        return told(self, one, answer, request_id)

    async def batch(self, questions: Sequence[Question], request_id: str) -> list[dict[str, Any]]:
        """Answer several questions, beside others that come in meanwhile."""
        turns: list[Turn] = []
        for at, question in enumerate(questions):
            with saying_which(at):
                turns.append(turn(self, question, f"{request_id}.{at}"))

        def make() -> list[Answer]:
            made: list[Answer] = []
            for at, one in enumerate(turns):
                with saying_which(at):
                    made.append(one.answer())
            return made

        answers = await self.work(make)
        return [
            told(self, one, answer, f"{request_id}.{at}")
            for at, (one, answer) in enumerate(zip(turns, answers, strict=True))
        ]

    def version(self, number: int | None) -> Served:
        """Return a version that is at hand; None = the live one."""
        if number is None or number == self.served.version:
            return self.served
        return self.others.get(number, (self.served,))[0]

    def about(self, source: str, request_id: str) -> dict[str, Any]:
        """Return what every answer says of itself."""
        return {
            "model": self.served.name,
            "version": self.served.version,
            "variant": "live",
            "source": source,
            "request_id": request_id,
        }

    async def similar(self, item: Id, k: int) -> Similar:
        """Return the items most like an item."""
        return await self.work(similar_to, self.served.model, item, k, self.withdrawn)

    async def explain(self, body: Explanation) -> dict[str, Any]:
        """Return what raises the score of an item, the strongest first, and what is to be noted of the question."""
        served, body = self.served, named(self.base.users.ids, body)
        model, (asked, timing) = served.model, somebody(served, body, self.histories)

        def make() -> dict[str, Any]:
            lost = passed_over(model.items.ids, {"history": body.history})
            lost += added_alone(asked.history, model.n_trained)
            notes = [*timing, *lost, *remarks(model, asked)][:MOST_NOTES]
            found = reasons(model, asked, model.items.ids.row(body.item)).head(body.k).to_dicts()
            said = {"reasons": found, "source": served.source_of(asked)}
            return said | ({"notes": notes} if notes else {})

        return await self.work(make)

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run what takes long beside the event loop.

        Raises
        ------
        Refused
            If it does not end in time.
        """
        if self.threads is None:
            return function(*arguments)
        task = asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self.settings.timeout)
        except TimeoutError as error:
            raise Refused(
                503, "timeout", f"the answer took more than {self.settings.timeout:g} s",
                "ask for less, or again later", {"retry-after": "1"},
            ) from error  # fmt: skip

    def now(self) -> float:
        """Return the time, which never runs backwards."""
        self._clock = max(self._clock, time.time())
        return self._clock

    # ---- items ------------------------------------------------------------------------------

    def take_item(self, row: Row) -> None:
        """Take up an item as the store has it."""
        item: Id = int(row["item_id"]) if row["is_integer"] else row["item_id"]
        if row["withdrawn"]:
            self.withdrawn.add(item)
        else:
            self.withdrawn.discard(item)
        features = orjson.loads(row["features"])
        if features and int(self.base.items.ids.rows([item])[0]) == UNKNOWN:
            self.items[item] = features

    def with_items(self, served: Served) -> Served:
        """Return a version with the added items, as far as the model reads content and they can be read."""
        items = self.items if served.model.reads_content else {}
        model, left_out = grown_by_what_is_left(served.version, served.model, items)
        if model is served.model and not self.withdrawn and not left_out:
            return served
        return served.grown(model, list(self.withdrawn), left_out)

    # ---- versions ---------------------------------------------------------------------------

    def open_version(self, found: Registered, number: int) -> tuple[Served, FittedModel]:
        """Open a version and make it ready; also return its model without added items."""
        base = self.registry.open(found.version(number))
        return self.with_items(warmed(number, base)), base

    def renew_others(self) -> None:
        """Make the versions that experiments name list the items of now."""
        for number, (served, base) in list(self.others.items()):
            self.others[number] = (
                self.with_items(Served.of(number, base, before=served)),
                base,
            )

    def swap(self, served: Served, base: FittedModel) -> None:
        """Answer with another version from now on; questions under way end with the one before."""
        self.served, self.base = served, base
        self.metrics.version.set(served.version)

    async def wait(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run what may wait for a disk or a database beside the event loop and the lists."""
        if self.threads is None:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._waiting, function, *arguments)

    def gauges(self) -> None:
        """Set the numbers that are read off."""
        self.metrics.people.set(len(self.histories))
        self.metrics.held.set(self.histories.count)
        self.metrics.lost.set(self.store.lost)
        self.metrics.store.set(int(self.store.reachable))

    def close(self) -> None:
        """Write what waits, then let go of everything."""
        for pool in (self.threads, self._waiting):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self.store.close()
