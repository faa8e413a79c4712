"""Which index answers: measured on the questions of real people, not assumed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from twofold.index.hnsw import Graph
from twofold.index.layered import Searches
from twofold.typing import F32, I32, I64

Kind = Literal["exact", "hnsw"]
ENOUGH = 1.0
"""Milliseconds of an exact list that need no improvement."""
GAIN = 2.0
"""How many times faster the graph has to be."""
EXPANSIONS = (64, 128, 256, 512)
"""Numbers of candidates that are tried, the fastest first."""
PASSES = 3
"""How often each question is timed; the fastest counts, because other programs only ever add time."""


class Questions(NamedTuple):
    """Queries of n people as a server gets them, one at a time."""

    vectors: F32  # (n, d)
    indptr: I64  # (n + 1,)
    hidden: I32  # (nnz,) rows to leave out

    def __len__(self) -> int:  # type: ignore[override]
        """Return the number of people."""
        return len(self.indptr) - 1

    def one(self, at: int) -> tuple[F32, I64, I32]:
        """Return one question as an index takes it."""
        own = self.hidden[self.indptr[at] : self.indptr[at + 1]]
        return self.vectors[at : at + 1], np.array([0, len(own)], np.int64), own


class Timed(NamedTuple):
    """Lists of n questions, and the milliseconds of the middle one."""

    items: I32  # (n, k)
    ms: float


@dataclass(frozen=True)
class Measured:
    """What was found, and what was chosen."""

    kind: Kind
    why: str
    items: int
    dimensions: int
    questions: int = 0
    k: int = 10
    exact_ms: float | None = None
    """Milliseconds of the middle question."""
    graph_ms: float | None = None
    recall: float | None = None
    """Share of the exact lists that the graph's lists hold."""
    expansion: int | None = None
    build_seconds: float | None = None
    """None where the graph was opened."""
    graph_bytes: int | None = None

    def report(self) -> dict[str, Any]:
        """Return what there is, for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def timed(index: Searches, questions: Questions, k: int) -> Timed:
    """Ask an index one question after the other."""
    items = np.full((len(questions), k), -1, np.int32)
    ms = np.full(len(questions), np.inf)
    for _ in range(PASSES):
        for at in range(len(questions)):
            asked = questions.one(at)
            began = time.perf_counter()
            items[at] = index.search(*asked, k)[0][0]
            ms[at] = min(ms[at], 1000 * (time.perf_counter() - began))
    return Timed(items, float(np.median(ms)) if len(ms) else 0.0)


def recall(found: I32, exact: I32) -> float:
    """Return the share of the exact lists (n, k) that lists (n, k) hold; -1 pads short ones. 1 where there is nothing to find.

    Example
    -------
    >>> recall(np.array([[1, 2, 9]]), np.array([[1, 2, 3]]))
    0.6666666666666666
    """
    wanted = exact >= 0
    hit = (exact[:, :, None] == found[:, None, :]).any(axis=2) & wanted
    return float(hit.sum() / wanted.sum()) if wanted.any() else 1.0


def graph_wanted(
    exact: Searches, questions: Questions, shape: tuple[int, int], k: int, force: Kind | None
) -> tuple[Measured, I32]:
    """Time the exact index; `kind` of the result says whether a graph is worth trying. Also return the exact lists (n, k).

    `shape` (m, d) is that of the items.
    """
    found = timed(exact, questions, k)
    made = Measured("exact", "", *shape, questions=len(questions), k=k, exact_ms=round(found.ms, 4))
    if force == "exact":
        return with_choice(made, "exact", "it is set to exact"), found.items
    if force == "hnsw":
        return with_choice(made, "hnsw", "it is set to hnsw"), found.items
    if not len(questions):
        return with_choice(made, "exact", "nobody is known whose lists could be timed"), found.items
    if found.ms <= ENOUGH:
        why = f"an exact list takes {found.ms:.3f} ms, and up to {ENOUGH:g} are fast enough"
        return with_choice(made, "exact", why), found.items
    return with_choice(made, "hnsw", f"an exact list takes {found.ms:.3f} ms"), found.items


def weigh(
    graph: Graph, questions: Questions, exact: I32, so_far: Measured, target: float,
    *, force: bool, rest: Callable[[], None] = lambda: None,
) -> tuple[Graph, Measured]:  # fmt: skip
    """Find the fewest candidates with which the graph finds enough, and say whether it is worth it.

    Parameters
    ----------
    graph, questions, exact
        The graph, the questions, and their exact lists (n, k).
    so_far
        What `graph_wanted` found.
    target
        Least share of the exact lists that has to be found, 0 ... 1.
    force
        Take the graph whatever is found.
    rest
        Called between measurements.
    """
    share, found, expansion = 0.0, Timed(exact, np.inf), EXPANSIONS[-1]
    for expansion in EXPANSIONS:
        found = timed(graph.expanded(expansion), questions, so_far.k)
        share = recall(found.items, exact)
        rest()
        if share >= target:
            break
    before = so_far.exact_ms or 0.0
    said = f"{found.ms:.3f} ms with {share:.1%} of the exact lists, which take {before:.3f} ms"
    made = replace(
        so_far,
        graph_ms=round(found.ms, 4),
        recall=round(share, 4),
        expansion=expansion,
        graph_bytes=graph.bytes,
    )
    graph = graph.expanded(expansion)
    if force:
        return graph, with_choice(made, "hnsw", f"it is set to hnsw: {said}")
    if share < target:
        return graph, with_choice(made, "exact", f"the graph finds too little: {said}")
    if found.ms * GAIN > before:
        return graph, with_choice(made, "exact", f"the graph is not {GAIN:g} times faster: {said}")
    return graph, with_choice(made, "hnsw", f"the graph takes {said}")


def with_choice(made: Measured, kind: Kind, why: str) -> Measured:
    """Return what was measured with a choice."""
    return replace(made, kind=kind, why=why)
