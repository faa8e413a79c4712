"""Token2Vec and Doc2Vec beside gensim: tokens a second, at the quality that each reaches in as many passes.

``python benchmarks/speed/tokens.py [--tokens N] [--words N] [--topics N] [--runs N] [--only WORD] [--save]``: a generated
corpus of N tokens (10,000,000), 50,000 words and 500 planted topics; then the customers of online-retail, for quality alone.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw
from twofold.data.entities import Entities
from twofold.data.interactions import Interactions
from twofold.data.vocabulary import Vocabulary
from twofold.models import Doc2Vec, Token2Vec
from twofold.models.sequence.doc2vec import PVDBOW, PVDM
from twofold.models.sequence.token2vec import CBOW, SkipGram

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

VOCABULARY = int(beside.option("--words", "50_000"))
TOPICS = int(beside.option("--topics", "500"))
LENGTH = 20
BANDS = ((0, 0.04), (0.2, 0.24), (0.6, 0.64))
"""Frequent, less frequent and rare words: shares of the vocabulary in falling order of frequency."""
OWN = 0.4
"""Share of a sentence's tokens that are of its topic."""
SHARED = {"factors": 100, "epochs": 1, "subsample": 1e-3}
WINDOW = NEGATIVES = 5
JOBS: dict[str, tuple[Any, float]] = {
    "skip-gram": (Token2Vec(**SHARED, architecture=SkipGram()), 0.025),
    "cbow": (Token2Vec(**SHARED, architecture=CBOW(learning_rate=0.25)), 0.05),
    "pv-dbow": (Doc2Vec(**SHARED, architecture=PVDBOW()), 0.025),
    "pv-dm": (Doc2Vec(**SHARED, architecture=PVDM(learning_rate=0.2)), 0.05),
}
"""Our estimator, and the step that is usual for gensim's: it adds the whole gradient of a mean to each of its vectors,
so that ours, which divides it, takes longer steps to learn as much in a pass."""


def planted(n: int, rng: np.random.Generator) -> tuple[tw.Dataset, np.ndarray, np.ndarray]:
    """Return sentences of one topic each, the topic of every word, and that of every sentence.

    Word w is of topic w mod TOPICS. Frequencies follow Zipf's law inside a topic and over all words.
    """
    sentences = n // LENGTH
    topic = rng.integers(0, TOPICS, sentences)
    own = rng.random(n) < OWN
    words = np.empty(n, np.int64)
    for where, size in ((own, VOCABULARY // TOPICS), (~own, VOCABULARY)):
        share = np.cumsum(1 / np.arange(1, size + 1))
        words[where] = np.searchsorted(share / share[-1], rng.random(int(where.sum())))
    words[own] = words[own] * TOPICS + np.repeat(topic, LENGTH)[own]
    start = np.arange(0, n + 1, LENGTH)
    return corpus(start, words.astype(np.int32), VOCABULARY), np.arange(VOCABULARY) % TOPICS, topic


def corpus(start: np.ndarray, words: np.ndarray, n_words: int) -> tw.Dataset:
    """Return sentences of word numbers as a dataset whose rows are these numbers."""
    n = len(start) - 1
    events = Interactions(
        user=np.repeat(np.arange(n, dtype=np.int32), np.diff(start)), item=words,
        value=np.ones(len(words), np.float32), time=None, n_users=n, n_items=n_words, has_value=False,
    )  # fmt: skip
    people, things = (Vocabulary.of(range(size)) for size in (n, n_words))
    return tw.Dataset(events, Entities(people), Entities(things))


def nearest(vectors: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """Return the k rows of the highest cosine to each of `rows`, themselves left out; shape (len(rows), k)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(length, 1e-30)
    scores = unit[rows] @ unit.T
    scores[np.arange(len(rows)), rows] = -np.inf
    return np.argpartition(-scores, k, axis=1)[:, :k]


def agreement(vectors: np.ndarray, topic: np.ndarray, rows: np.ndarray) -> float:
    """Return the share of the 10 nearest of `rows` that are of the same topic."""
    found = np.concatenate(
        [
            topic[nearest(vectors, part, 10)] == topic[part][:, None]
            for part in np.array_split(rows, 8)
        ]
    )
    return float(found.mean())


def ours(estimator: Any, data: tw.Dataset, name: str) -> dict[str, Any]:
    """Train ours once; return the seconds and the vectors."""
    began = time.perf_counter()
    model = estimator.fit(data, rng=0)
    seconds = time.perf_counter() - began
    made = {"seconds": seconds, "tokens": model.similarity_vectors}
    if name.startswith("pv"):
        made["documents"] = model.user_factors[:, :-1]
    return made


def theirs(name: str, data: tw.Dataset, rate: float, epochs: int) -> dict[str, Any] | str:
    """Train gensim once."""
    events = data.interactions
    return beside.ask(
        "tokens", {"token": events.item, "indptr": events.indptr}, name=name, n_tokens=data.n_items,
        factors=SHARED["factors"], window=WINDOW, negatives=NEGATIVES, subsample=SHARED["subsample"],
        rate=rate, epochs=epochs, workers=2,
    )  # fmt: skip


def quality(
    made: dict[str, Any], name: str, topic: np.ndarray, of_sentence: np.ndarray, counts: np.ndarray
) -> str:
    """Return the agreement of frequent and of rarer words, or of documents."""
    if name.startswith("pv"):
        rows = np.random.default_rng(1).choice(len(of_sentence), 1_000, replace=False)
        sample = np.concatenate(
            [rows, np.setdiff1d(np.arange(min(len(of_sentence), 50_000)), rows)]
        )
        return f"{agreement(made['documents'][sample], of_sentence[sample], np.arange(1_000)):.3f}"
    rank = np.argsort(-counts, kind="stable")
    bands = (rank[int(a * VOCABULARY) : int(b * VOCABULARY)] for a, b in BANDS)
    return " / ".join(f"{agreement(made['tokens'], topic, band):.3f}" for band in bands)


def race(
    name: str, data: tw.Dataset, topic: np.ndarray, of_sentence: np.ndarray, runs: int
) -> list[str]:
    """Time one job of both, alternating."""
    estimator, rate = JOBS[name]
    small = corpus(np.arange(0, 2_001, LENGTH), data.interactions.item[:2_000], VOCABULARY)
    estimator.fit(small, rng=0)  # compiles
    mine: list[dict[str, Any]] = []
    peer: list[dict[str, Any] | str] = []
    for _ in range(runs):
        mine.append(ours(estimator, data, name))
        peer.append(theirs(name, data, rate, SHARED["epochs"]))
        took = [
            one if isinstance(one, str) else f"{one['seconds']:.1f} s"
            for one in (mine[-1], peer[-1])
        ]
        sys.stderr.write(f"{name}: ours {took[0]}, gensim {took[1]}\n")
    counts = data.interactions.item_counts
    own = np.array([len(data) / one["seconds"] / 1e6 for one in mine])
    row = [name, quality(mine[0], name, topic, of_sentence, counts), f"{np.median(own):.2f}"]
    failed = [one for one in peer if isinstance(one, str)]
    if failed:
        return [*row, failed[0], "-", "-", "-"]
    done = [one for one in peer if not isinstance(one, str)]
    other = np.array([len(data) / one["seconds"] / 1e6 for one in done])
    spread = f"{own.min() / other.max():.1f} - {own.max() / other.min():.1f}"
    return [
        *row, quality(done[0], name, topic, of_sentence, counts), f"{np.median(other):.2f}",
        f"{np.median(own) / np.median(other):.1f}", spread,
    ]  # fmt: skip


def together(indptr: np.ndarray, item: np.ndarray, n: int) -> np.ndarray:
    """Return how many sequences hold both of two items, shape (n, n), the diagonal zero."""
    from scipy.sparse import csr_array

    rows = csr_array((np.ones(len(item), np.float32), item, indptr), shape=(len(indptr) - 1, n))
    rows.sum_duplicates()
    rows.data[:] = 1
    counts = (rows.T @ rows).toarray()
    np.fill_diagonal(counts, 0)
    return counts


def co_purchases(epochs: int = 20) -> list[list[str]]:
    """Return how many of the 10 nearest items other customers buy in the same invoice, more often than by chance."""
    data = tw.datasets.load("online-retail").filter(min_user_events=5, min_item_events=20)
    history = tw.Histories.of(data.interactions)
    half = np.random.default_rng(0).permutation(data.n_users)
    one, other = (history.take(np.sort(part)) for part in np.array_split(half, 2))
    train = corpus(one.indptr, one.item, data.n_items)
    counts = together(other.indptr, other.item, data.n_items)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    lift = np.where(counts >= 5, counts / np.maximum(expected, 1e-9), 0)
    truth = np.argsort(-lift, axis=1, kind="stable")[:, :20]
    rows = np.flatnonzero((lift > 1).sum(axis=1) >= 20)
    rows = rows[np.bincount(one.item, minlength=data.n_items)[rows] >= 20]

    def precision(vectors: np.ndarray) -> str:
        near = nearest(vectors, rows, 10)
        hits = [np.isin(a, b).mean() for a, b in zip(near, truth[rows], strict=True)]
        return f"{np.mean(hits):.3f} ± {1.96 * np.std(hits) / len(hits) ** 0.5:.3f}"

    found = []
    for name in ("skip-gram", "cbow", "pv-dm"):
        estimator, rate = JOBS[name]
        changed = type(estimator)(
            factors=SHARED["factors"], subsample=SHARED["subsample"], epochs=epochs,
            architecture=replace(estimator.architecture, learning_rate=rate),
        )  # fmt: skip
        peer = theirs(name, train, rate, epochs)
        said = peer if isinstance(peer, str) else precision(peer["tokens"])
        found.append([name, precision(ours(changed, train, name)["tokens"]), said])
    return found


def main() -> None:
    """Time and print the tables."""
    n = int(beside.option("--tokens", "10_000_000"))
    runs = int(beside.option("--runs", "3"))
    only = beside.option("--only", "")
    if only in ("", "speed", *JOBS):
        data, topic, of_sentence = planted(n, np.random.default_rng(0))
        names = [one for one in JOBS if only in ("", "speed", one)]
        beside.table(
            "Vectors of tokens and documents, speed",
            [
                f"{len(data):,} tokens in sentences of {LENGTH}, {VOCABULARY:,} words, {TOPICS} planted topics (seed 0); {OWN:.0%} of a sentence is of its",
                f"topic. d = {SHARED['factors']}, window {WINDOW}, {NEGATIVES} negatives, subsampling {SHARED['subsample']:g}, one pass, first steps as in JOBS.",
                f"Two cores, gensim with two workers; medians of {runs} runs that alternate. gensim's reading and counting of the",
                "corpus is left out of its time, ours is in. Quality: share of the 10 nearest that are of the same topic; of words",
                f"{' / '.join(f'{int(a * VOCABULARY) + 1:,} - {int(b * VOCABULARY):,}' for a, b in BANDS)} by frequency, or of 1,000 documents.",
            ],
            ["model", "our quality", "our Mtokens/s", "gensim's quality", "gensim's Mtokens/s", "ratio", "range"],
            [race(name, data, topic, of_sentence, runs) for name in names],
        )  # fmt: skip
    if only in ("", "co-purchases"):
        beside.table(
            "Vectors of items beside gensim's, co-purchases",
            [
                "online-retail, half of the customers in training, 20 passes, the same settings and first steps (.025 and .05). Precision of the 10 nearest items,",
                "the truth being the 20 items that the other half buys with an item most often beyond chance (5 customers at least).",
            ],
            ["model", "ours", "gensim's"],
            co_purchases(),
            suffix="_co_purchases",
        )


if __name__ == "__main__":
    main()
