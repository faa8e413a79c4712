"""Films of one domain for people who never watched any of it: single view beside several views.

``python benchmarks/quality/multi_view.py [--data ml-1m] [--target drama] [--people 0.1] [--new 0.2] [--only NAME,NAME]
[--set NAME=VALUE,...] [--seed 0] [--validation] [--save] [--merge]``

The single view is always fitted: the others are held against it.
Films are cut into four domains by genre. What people watched of one of them ("other") is what is known of them, as
search words are in the paper; the three others are item views.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import twofold as tw

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

DATA, TARGET = beside.option("--data", "ml-1m"), beside.option("--target", "drama")
SEED, NINE = int(beside.option("--seed", "0")), 9
PEOPLE, NEW = float(beside.option("--people", "0.1")), float(beside.option("--new", "0.2"))
"""Share of the people who are the test, and share of these who are new to the target."""
VALIDATE = "--validation" in sys.argv
DOMAINS = (("comedy", "Comedy"), ("action", "Action"), ("drama", "Drama"))
"""A film belongs to the first whose genre it has; all others are "other"."""
OTHERS = [name for name, _ in DOMAINS if name != TARGET]
SINGLE = "single view"
VIEWS: dict[str, list[str]] = {
    SINGLE: [TARGET],
    "two views": [TARGET, OTHERS[0]],
    "three views": [TARGET, *OTHERS],
}
SETTINGS: dict[str, Any] = {
    "view": "domain",
    "content": "words",
    "query": "watched",
    "known_by": ("features",),
    "hidden": (300,),
}


class Task(NamedTuple):
    """The log in training, and what the people of the test should find in the target domain."""

    films: pl.DataFrame  # item, domain, words
    train: pl.DataFrame  # user, item
    people: pl.DataFrame  # user, watched: the films of "other"
    test: dict[str, list[str]]
    new: set[str]
    """Those of the test who have nothing of the target in training."""


def domains(items: pl.DataFrame) -> pl.DataFrame:
    """Return the films with their domain, and their title and genres as words."""
    domain = pl.lit("other")
    for name, genre in reversed(DOMAINS):
        domain = pl.when(pl.col("genres").list.contains(genre)).then(pl.lit(name)).otherwise(domain)
    words = pl.col("title") + " " + pl.col("genres").list.join(" ")
    return items.select("item", domain.alias("domain"), words.alias("words"))


def task(data: tw.Dataset) -> Task:
    """Draw the people of the test (as many others for validation), and those of them who are new to the target."""
    films = domains(data.frame("items"))
    log = data.frame("interactions").select("user", "item").join(films, on="item")
    rng = np.random.default_rng(SEED)
    people = rng.permutation(log["user"].unique().sort().to_numpy())
    size = int(len(people) * PEOPLE)
    chosen = people[size : 2 * size] if VALIDATE else people[:size]
    hidden = people[:size] if VALIDATE else people[:0]  # the test's people stay out of sight
    new = set(chosen[: int(len(chosen) * NEW)].tolist())
    test: dict[str, list[str]] = {}
    mine = log.filter(pl.col("domain") == TARGET).group_by("user").agg("item").sort("user")
    for user, items in mine.iter_rows():
        if user in set(chosen.tolist()):
            drawn = rng.permutation(np.sort(items)).tolist()
            test[user] = drawn if user in new else drawn[: (len(drawn) + 1) // 2]
    pairs = [(user, item) for user, items in test.items() for item in items]
    held = pl.DataFrame(
        pairs, schema={one: log.schema[one] for one in ("user", "item")}, orient="row"
    )
    train = log.filter(pl.col("domain") != "other", ~pl.col("user").is_in(hidden.tolist()))
    train = train.join(held, on=["user", "item"], how="anti").select("user", "item")
    watched = (
        log.filter(pl.col("domain") == "other")
        .group_by("user")
        .agg(pl.col("item").cast(pl.String).sort().alias("watched"))
    )
    known = set(watched["user"].to_list())
    return Task(
        films, train, watched.sort("user"), {u: i for u, i in test.items() if u in known}, new
    )


def dataset(given: Task, views: list[str]) -> tw.Dataset:
    """Return the training log of some views."""
    films = given.films.filter(pl.col("domain").is_in(views))
    events = given.train.filter(pl.col("item").is_in(films["item"].to_list()))
    return tw.Dataset.from_frames(
        events,
        user="user",
        item="item",
        items=films,
        item_features={"domain": "category", "words": "text"},
        users=given.people,
        user_features={"watched": "tags"},
    )


def measure(
    scores: np.ndarray, users: list[int], items: np.ndarray, given: Task
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every person MRR and P@1 over 1 + 9, and MRR and recall@10 over all of the target; (n, 4).

    scores (n users, n items of the target). The nine are drawn from what a person has not watched; their seed is the
    same for every model. What is in training is left out of the full ranking. Ties count against the model.
    """
    had = given.train.filter(pl.col("item").is_in(items.tolist())).group_by("user").agg("item")
    mine = {user: set(one) for user, one in had.iter_rows()}
    place = {item: row for row, item in enumerate(items.tolist())}
    rng = np.random.default_rng(SEED + 2)
    out = np.zeros((len(users), 4))
    for row, user in enumerate(users):
        wanted = [place[item] for item in given.test[user] if item in place]
        seen = [place[item] for item in mine.get(user, ())]
        rest = np.setdiff1d(np.arange(len(items)), [*wanted, *seen])
        nine = rng.choice(rest, (len(wanted), NINE))
        line = scores[row]
        ranks = 1 + (line[nine] >= line[wanted][:, None]).sum(axis=1)
        ahead = 1 + (line[rest][None] >= line[wanted][:, None]).sum(axis=1)
        found = np.sort(ahead) + np.arange(
            len(wanted)
        )  # the others that are wanted stand in the list too
        out[row] = (
            (1 / ranks).mean(), (ranks == 1).mean(), 1 / found[0], (found <= 10).mean(),
        )  # fmt: skip
    return out, np.array([user in given.new for user in users])


def main() -> None:
    """Measure and print the table."""
    given = task(tw.datasets.load(DATA))
    films = given.films.filter(pl.col("domain") == TARGET)["item"].sort().to_numpy()
    whole = dataset(given, [name for name, _ in DOMAINS])
    there = np.isin(films, whole.items.ids.ids.to_numpy())
    films = films[there]
    users = [
        one for one in given.test if any(item in set(films.tolist()) for item in given.test[one])
    ]
    only = beside.option("--only", "")
    found: dict[str, tuple[np.ndarray, float]] = {}
    columns = whole.items.ids.rows(films)
    counts = whole.interactions.item_counts[columns]
    found["most frequent"] = measure(np.tile(counts, (len(users), 1)), users, films, given)[0], 0.0
    everything = with_watched(given)
    began = time.process_time()
    ease = tw.models.EASE().fit(everything)
    rows = everything.users.ids.rows(users)
    scores = ease.lookup(rows) @ ease.item_vectors.T
    scores = scores if isinstance(scores, np.ndarray) else scores.toarray()
    scores = scores[:, everything.items.ids.rows(films)]
    found["EASE on all that is known"] = (
        measure(scores, users, films, given)[0], time.process_time() - began,
    )  # fmt: skip
    for name, views in VIEWS.items():
        if only and name not in (SINGLE, *only.split(",")):
            continue
        log = dataset(given, views)
        began = time.process_time()
        model = tw.models.MultiViewDSSM(**{**SETTINGS, **beside.settings()}).fit(log, rng=SEED)
        took = time.process_time() - began
        known = log.users.ids.rows(users)
        scores = model.lookup(known) @ model.item_vectors[log.items.ids.rows(films)].T
        found[name] = measure(scores, users, films, given)[0], took
        sys.stderr.write(f"{name}: {found[name][0].mean(axis=0)} in {took:.0f} s\n")
    new = np.array([user in given.new for user in users])
    single = found[SINGLE][0]
    lines = []
    for name, (values, took) in found.items():
        means = [f"{one:.4f}" for one in values.mean(axis=0)]
        news = [f"{one:.4f}" for one in values[new].mean(axis=0)]
        tests = [beside.paired(values[new, one] - single[new, one]) for one in (0, 2, 3)]
        lines.append([name, *means, *news, *tests, f"{took:.0f}"])
    beside.table(
        f"{TARGET.capitalize()} of {DATA} for people who never watched any",
        [
            f"{len(users):,} people of the test, {int(new.sum()):,} of them new to the target: nothing of it is in training",
            f"(of the others, half). {len(films):,} films of the target. Known of everybody: the films of the domain",
            '"other". MRR and P@1 over one wanted film and nine drawn ones; then MRR and recall@10 of the full ranking of the',
            f"target. The differences are those of new people from the single view, paired (seed {SEED}). Seconds are of the",
            "processor, whatever else it did.",
        ],
        [
            "model", "mrr 1+9", "p@1", "mrr full", "recall@10", "new: mrr 1+9", "new: p@1",
            "new: mrr full", "new: recall@10", "beside single: mrr 1+9", "mrr full",
            "recall@10", "seconds of CPU",
        ],
        lines,
        suffix=f"_{DATA}_{TARGET}",
    )  # fmt: skip


def with_watched(given: Task) -> tw.Dataset:
    """Return the training log of all views, and the films of "other" as events too."""
    watched = given.people.explode("watched").select(
        "user", pl.col("watched").cast(given.train.schema["item"]).alias("item")
    )
    return tw.Dataset.from_frames(pl.concat([given.train, watched]), user="user", item="item")


if __name__ == "__main__":
    main()
