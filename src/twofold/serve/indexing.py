"""The index of a version: chosen by measurement, made beside the requests, kept in the state folder.

The exact index answers at once. Where it takes long, a graph is made by a thread of low priority, compared with the exact
lists of real people, and takes its place if it is worth it. What was found is written beside the graph, so that
restarts and other workers take the same one, and map the same file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from twofold import locks
from twofold.errors import TwofoldError
from twofold.index import hnsw
from twofold.index.choice import Kind, Measured, Questions, graph_wanted, weigh, with_choice
from twofold.index.coded import Coded
from twofold.index.layered import Searches, ragged
from twofold.manifest import digest
from twofold.models._base import dimensions
from twofold.rank import FALLBACK
from twofold.serve.histories import LiveHistories
from twofold.serve.live import Live
from twofold.serve.schemas import Question
from twofold.serve.served import Served
from twofold.serve.settings import Settings
from twofold.typing import F32, I32

log = logging.getLogger(__name__)

FOLDER = "index"
"""Where graphs are kept in the state folder."""
PEOPLE = 100
"""Known users whose lists are timed and compared."""
K = 10
LOWEST = 19
"""Priority of the thread that makes graphs: what answers goes first."""


class Stopped(TwofoldError):
    """The server stops while an index is made."""


async def improve(live: Live) -> None:
    """Choose the index of each version that answers, now and whenever another one does."""
    stop = threading.Event()
    done: dict[int, Searches] = {}
    pool = ThreadPoolExecutor(1, "index", initializer=step_back)
    try:
        while True:
            for served in (live.served, *(one for one, _ in live.others.values())):
                if served.index is None or done.get(served.version) is served.index.base:
                    continue
                before = served.index.base
                chosen = asyncio.get_running_loop().run_in_executor(pool, choose, served, live.settings, stop)  # fmt: skip
                base, measured = await chosen
                done[served.version] = base
                async with live.changing:
                    take(live, before, base, measured)
            await asyncio.sleep(live.settings.poll)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def take(live: Live, before: Searches, base: Searches, measured: Measured) -> None:
    """Let every version that is searched by `before` be searched by `base`."""
    if live.served.index is not None and live.served.index.base is before:
        live.served = live.served.searched_by(base, measured)
    for number, (one, model) in list(live.others.items()):
        if one.index is not None and one.index.base is before:
            live.others[number] = one.searched_by(base, measured), model


def step_back() -> None:
    """Give this thread the lowest priority, where the system knows such a thing."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)


def choose(served: Served, settings: Settings, stop: threading.Event) -> tuple[Searches, Measured]:
    """Return the index that shall search the trained items of a version, and what was measured; the log says both."""
    index = served.index
    if index is None or not isinstance(index.base, Coded):
        raise TypeError("the version has no exact index to compare with")
    exact = index.base
    force: Kind | None = None if settings.index == "auto" else settings.index
    asked = people(served)
    measured, lists = graph_wanted(exact, asked, exact.item_vectors.shape, K, force)
    chosen: Searches = exact
    if measured.kind == "hnsw" and importlib.util.find_spec("usearch") is None:
        why = f"{measured.why}, but usearch is not installed: pip install 'twofold[serve]'"
        measured = with_choice(measured, "exact", why)
    if measured.kind == "hnsw":
        try:
            chosen, measured = graph_of(exact, asked, lists, measured, settings, stop)
        except Stopped:
            measured = with_choice(
                measured, "exact", "the server stopped before the graph was made"
            )
        except OSError as error:
            why = f"the graph cannot be kept in {settings.state}: {error.strerror or error}"
            measured = with_choice(measured, "exact", why)
            log.warning("version %d: %s", served.version, why)
    log.info("version %d: the index is %s: %s", served.version, measured.kind, measured.why)
    return chosen, measured


def graph_of(
    exact: Coded, asked: Questions, lists: I32, measured: Measured, settings: Settings, stop: threading.Event
) -> tuple[Searches, Measured]:  # fmt: skip
    """Open the graph that was made earlier, or by another process, or make it; return what shall search.

    Raises
    ------
    Stopped
        If the server stops meanwhile.
    OSError
        If the state folder cannot be written.
    """
    folder = Path(settings.state) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    vectors = exact.item_vectors
    path = folder / f"{fingerprint(vectors)}.usearch"
    forced = settings.index == "hnsw"
    with alone(path.with_suffix(".lock"), stop):
        kept = recorded(path)
        if kept is None:
            began = time.perf_counter()
            made = hnsw.build(vectors, exact, stop.is_set)
            if made is None:
                raise Stopped("the server stops")
            hnsw.write(made, path)
            seconds = round(time.perf_counter() - began, 3)
            record(path, {"sha256": digest(path), "build_seconds": seconds})
        else:
            seconds = kept.get("build_seconds")
        graph = hnsw.read(path, vectors, exact)  # mapped: what was built is let go of
        wanted = f"{settings.index} {settings.index_recall}"
        if kept is not None and kept.get("wanted") == wanted:
            found = Measured(**kept["measured"])
            graph = graph.expanded(found.expansion or graph.expansion)
        else:
            graph, found = weigh(graph, asked, lists, measured, settings.index_recall, force=forced)
            found = replace(found, build_seconds=seconds)
            facts = {"sha256": digest(path), "build_seconds": seconds, "wanted": wanted}
            record(path, {**facts, "measured": found.report()})
    return (graph if found.kind == "hnsw" else exact), found


def recorded(path: Path) -> dict[str, Any] | None:
    """Return what was written of a graph; None where it is missing, cut short or another one."""
    try:
        found = orjson.loads(path.with_suffix(".json").read_bytes())
        whole = digest(path) == found["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if whole else None


def record(path: Path, facts: dict[str, Any]) -> None:
    """Write what is known of a graph beside it, whole or not at all."""
    target = path.with_suffix(".json")
    draft = target.with_name(f".{target.name}-draft")
    draft.write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    draft.replace(target)


@contextlib.contextmanager
def alone(path: Path, stop: threading.Event) -> Generator[None]:
    """Wait until no other process makes the same graph; a process that dies lets the next one in.

    Raises
    ------
    Stopped
        If the server stops meanwhile.
    """
    with path.open("ab") as file:
        while not locks.take(file):
            if stop.wait(0.2):
                raise Stopped("the server stops")
        yield


def fingerprint(vectors: F32) -> str:
    """Return what tells items (m, d), and how their graph is made, from others."""
    facts = f"{vectors.shape} {hnsw.CONNECTIVITY} {hnsw.CARE}"
    found = hashlib.blake2b(facts.encode(), digest_size=16)
    found.update(np.ascontiguousarray(vectors).data)
    return found.hexdigest()


def people(served: Served) -> Questions:
    """Return the questions of known users, spread over all of them, with what they have seen."""
    users, nothing = served.model.users.ids, LiveHistories(1)
    vectors: list[F32] = []
    hidden: list[I32] = []
    for row in np.unique(np.linspace(0, len(users) - 1, PEOPLE).astype(np.int64)).tolist():
        queries = served.asked(Question(user=users[row]), nothing).queries
        vector, source = served.vector_of(queries)
        if source != FALLBACK:
            vectors.append(vector)
            hidden.append(served.seen_in(queries))
    if not vectors:
        nobody = np.zeros((0, dimensions(served.model.item_vectors)), np.float32)
        return Questions(nobody, np.zeros(1, np.int64), np.zeros(0, np.int32))
    return Questions(np.concatenate(vectors), *ragged(hidden))
