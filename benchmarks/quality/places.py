"""Where to go next: ContextEmbedding with one context after the other, beside what it has to beat.

``python benchmarks/quality/places.py [lbsn2vec-nyc marc-foursquare-nyc] [--only general|time|more|beside|repeats] [--rows "label;..."] [--part validation] [--seed 0] [--set factors=32,...] [--save] [--merge]``

Every held-out check-in is a question of its own, asked with what its user did before it, its time and its columns;
all places are ranked, also those that the user knows already. ``--merge`` keeps the rows of the table that is there
that are not measured now; ``--set`` changes ContextEmbedding.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import twofold as tw
from twofold.errors import TwofoldError

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
METRICS = ["recall@1", "recall@5", "recall@10"]
LADDERS: dict[str, dict[str, list[str]]] = {
    "lbsn2vec-nyc": {
        "general": ["user", "surrounding"],
        "time": ["hour", "weekday"],
        "more": ["hour_of_week", "category", "trajectory"],
    },
    "marc-foursquare-nyc": {
        "general": ["user", "surrounding"],
        "time": ["hour", "day"],
        "more": ["weather", "category", "region", "trajectory"],
    },
}
"""Contexts of general recommendation, one added to the other; those of the moment, added to them; and more, each added alone."""
SETTINGS: dict[str, dict[str, Any]] = {
    "lbsn2vec-nyc": {},
    "marc-foursquare-nyc": {"session": "tid"},
}
"""What differs from the defaults; chosen on the validation part."""
BESIDE: dict[str, Any] = {
    "Popularity": tw.models.Popularity(),
    "PersonalFrequency": tw.models.PersonalFrequency(),
    "IALS": tw.models.IALS(factors=64, unobserved_weight=0.1),
    "Token2Vec": tw.models.Token2Vec(epochs=20),
    "FPMC": tw.models.HRM.fpmc(),
    "HRM": tw.models.HRM(),
    "GRU4Rec": tw.models.GRU4Rec(),
}
"""Models beside it, FPMC being a special case of HRM."""


def split_of(name: str, part: str) -> tw.Split:
    """Return the log with the last tenth of each user's check-ins for the test; validation before it where that is asked for."""
    data = tw.datasets.load(name)
    held = 0.1 if part == "validation" else 0.0
    return tw.split.last_fraction(data, test=0.1, validation=held, repeats="keep")


def contenders(name: str) -> Iterator[tuple[str, str, Any]]:
    """Return a label, a kind and an estimator."""
    for label, model in BESIDE.items():
        yield label, "beside", model
    told: tuple[str, ...] = ()
    more = SETTINGS[name] | beside.settings()
    yield "repeats: Popularity", "repeats", tw.models.Repeats(model=tw.models.Popularity())
    for kind, names in LADDERS[name].items():
        for one in names:
            added = (*told, one)
            model = tw.models.ContextEmbedding(contexts=added, **more)
            yield f"{kind}: {' + '.join(added)}", kind, model
            told = told if kind == "more" else added
    time_aware = tw.models.ContextEmbedding(contexts=told, **more)
    label = f"repeats: {' + '.join(told)}"
    yield label, "repeats", tw.models.Repeats(model=time_aware)


def measure(name: str, only: str, part: str) -> None:
    """Print the table of one log."""
    split = split_of(name, part)
    wanted = beside.option("--rows", "")
    rows: list[list[str]] = []
    for label, kind, estimator in contenders(name):
        if (only and kind not in only.split(",")) or (wanted and label not in wanted.split(";")):
            continue
        began = time.perf_counter()
        try:
            model = estimator.fit(split.train, rng=SEED)
        except TwofoldError as error:
            rows.append([label, *["-"] * len(METRICS), str(error)[:80]])
            continue
        took = time.perf_counter() - began
        found = tw.evaluate(model, split, METRICS, part=part, ask="each event")
        cells = [f"{found[one]:.4f}" for one in METRICS]
        rows.append([label, *cells, f"{took:.0f} s"])
        sys.stderr.write(f"{name} {' '.join(rows[-1])}\n")
    beside.table(
        f"Where to go next, {name}",
        [
            f"{part.capitalize()} part of {split}. A question an event, full ranking, known places kept; a place that "
            f"training never saw counts as missed. Seed {SEED}.",
        ],
        ["model", *METRICS, "training"],
        rows,
        suffix=f"_{name}",
    )


def main() -> None:
    """Measure what is asked for."""
    for name in [one for one in sys.argv[1:] if one in LADDERS] or list(LADDERS):
        measure(name, beside.option("--only", ""), beside.option("--part", "test"))


if __name__ == "__main__":
    main()
