"""Approximate lists from a graph of near neighbours, for catalogues that an exact pass takes too long over.

Malkov & Yashunin (2020), "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
World Graphs", TPAMI 42; with the inner product in place of a distance: Morozov & Babenko (2018), "Non-metric Similarity
Graphs for Maximum Inner Product Search", NeurIPS. The graph is usearch's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from twofold.errors import IncompatibleFileError, need
from twofold.index.layered import Searches
from twofold.kernels.top_k import rescore_rows
from twofold.typing import F32, I32, I64

CONNECTIVITY = 16
"""Neighbours of an item in the graph."""
CARE = 128
"""Candidates that are looked at when an item finds its place in the graph."""
TOGETHER = 500
"""Items that are added between two looks at whether to stop."""
SPARE = 16
"""Items more than asked for that are scored again."""
DEEPEST = 512
"""Most items that the graph is asked for: where more are hidden, the exact index answers."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A graph of items whose candidates are scored again, exactly; keys of the graph are item rows.

    Several threads may search; they take turns.
    """

    item_vectors: F32  # (m, d)
    graph: Any  # usearch.index.Index
    exact: Searches
    """Answers where so many items are hidden that the graph would be asked for more than `DEEPEST`."""
    expansion: int = 64
    """Candidates that a search keeps: more of them find more, and take longer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def expanded(self, expansion: int) -> Graph:
        """Return the same graph searched with so many candidates."""
        return replace(self, expansion=expansion)

    @property
    def bytes(self) -> int:
        """Size of the graph; of a mapped one the pages that are touched are in memory."""
        return int(self.graph.serialized_length)

    def search(self, vectors: F32, indptr: I64, hidden: I32, k: int) -> tuple[I32, F32]:
        """Return `k` of the best items of each query, best first; ties go to the lower row.

        Not every list is the exact one; each score is, and no item that is hidden is listed. The same graph
        gives the same lists. Parameters and shapes are those of `Coded.search`.
        """
        items = np.full((len(vectors), k), -1, np.int32)
        best = np.full((len(vectors), k), -np.inf, np.float32)
        rows = np.ascontiguousarray(vectors, np.float32)
        for at in range(len(rows)):
            own = hidden[indptr[at] : indptr[at + 1]]
            found = self._candidates(rows[at], own, k)
            if found is None:
                bounds = np.array([0, len(own)], np.int64)
                items[at : at + 1], best[at : at + 1] = self.exact.search(rows[at : at + 1], bounds, own, k)  # fmt: skip
                continue
            listed = np.full((1, max(len(found), k)), -1, np.int32)
            listed[0, : len(found)] = found
            scores = np.full(listed.shape, -np.inf, np.float32)
            rescore_rows(rows[at : at + 1], self.item_vectors, listed, scores)
            items[at], best[at] = listed[0, :k], scores[0, :k]
        return items, best

    def _candidates(self, vector: F32, hidden: I32, k: int) -> I32 | None:
        """Return candidates of a query (d,) in ascending rows, without those that are hidden; None where the exact index has to answer."""
        asked = k + len(hidden) + SPARE
        length = float(np.sqrt(np.dot(vector, vector)))
        if asked > DEEPEST or not 0 < length < np.inf:
            return None
        with self.lock:
            self.graph.expansion_search = max(self.expansion, asked)
            found = self.graph.search(vector / np.float32(length), asked, threads=1).keys
        rows = np.sort(found.astype(np.int32))
        if len(hidden):
            rows = rows[~np.isin(rows, hidden)]
        return rows if len(rows) >= min(k, len(self.item_vectors) - len(hidden)) else None


def build(
    item_vectors: F32, exact: Searches, stopped: Callable[[], bool] = lambda: False
) -> Graph | None:
    """Make the graph of items (m, d), by one thread and in the order of the rows, so that it is the same every time.

    Takes O(m log m) searches. Memory: half the size of the vectors, and about 150 bytes an item.

    Parameters
    ----------
    item_vectors
        The items.
    exact
        What answers where the graph should not; see `Graph`.
    stopped
        Asked now and then; where it says yes, the result is None.

    Raises
    ------
    ConfigError
        If usearch is not installed.
    """
    vectors = np.ascontiguousarray(item_vectors, np.float32)
    graph = _empty(vectors.shape[1])
    # Half precision holds numbers up to 65,504; the order of products does not change with the unit.
    longest = float(np.sqrt(np.einsum("md,md->m", vectors, vectors).max(initial=0)))
    unit = np.float32(1 / longest if 0 < longest < np.inf else 1)
    for start in range(0, len(vectors), TOGETHER):
        if stopped():
            return None
        some = vectors[start : start + TOGETHER] * unit
        graph.add(np.arange(start, start + len(some)), some, threads=1)
    return Graph(vectors, graph, exact)


def write(graph: Graph, path: Path) -> None:
    """Write the graph to a file, whole or not at all."""
    draft = path.with_name(f".{path.name}-draft")
    graph.graph.save(str(draft))
    draft.replace(path)


def read(path: Path, item_vectors: F32, exact: Searches) -> Graph:
    """Map a graph from a file: processes that do so share its memory.

    The caller has compared the file with a checksum; `usearch` believes what it reads.

    Raises
    ------
    IncompatibleFileError
        If the file holds a graph of other items.
    """
    vectors = np.ascontiguousarray(item_vectors, np.float32)
    graph = _empty(vectors.shape[1])
    graph.view(str(path))
    if len(graph) != len(vectors) or graph.ndim != vectors.shape[1]:
        raise IncompatibleFileError(
            f"{path} holds a graph of {len(graph):,} items of {graph.ndim} dimensions, and these are "
            f"{len(vectors):,} of {vectors.shape[1]}; delete it, and it is made anew"
        )
    return Graph(vectors, graph, exact)


def _empty(d: int) -> Any:
    need("usearch", "serve")
    # Loaded only where a graph is made or opened.
    from usearch.index import Index

    return Index(
        ndim=d, metric="ip", dtype="f16", connectivity=CONNECTIVITY, expansion_add=CARE
    )  # fmt: skip
