"""Where to go next: check-ins of a town, asked by who somebody is, where they were last and what time it is."""

import sys
import tempfile
from pathlib import Path

import numpy as np

import twofold as tw

PLACES = {
    "cafe": (7, 11),
    "office": (9, 18),
    "canteen": (12, 14),
    "gym": (18, 22),
    "bar": (19, 24),
}
"""Kinds of places, and the hours in which people go there."""


def check_ins(n_people: int = 120, n_days: int = 15) -> tw.Dataset:
    """Return check-ins of people who live in one of four quarters and mostly stay there; Monday is day 0."""
    rng = np.random.default_rng(0)
    rows: list[tuple[str, str, int]] = []
    for person in range(n_people):
        quarter = person % 4
        favourites = {kind: rng.integers(0, 3) for kind in PLACES}
        for day in range(n_days):
            for kind, (first, last) in PLACES.items():
                if rng.random() < (0.15 if kind == "office" and day % 7 >= 5 else 0.7):
                    at = quarter if rng.random() < 0.9 else rng.integers(0, 4)
                    which = favourites[kind] if rng.random() < 0.7 else rng.integers(0, 3)
                    seconds = int(((day + 4) * 24 + rng.integers(first, last)) * 3600)
                    rows.append((f"p{person}", f"{kind} {at}{which}", seconds))
    person, place, seconds = zip(*rows, strict=True)
    names = sorted(set(place))
    return tw.Dataset.from_frames(
        {"person": person, "place": place, "time": seconds},
        user="person", item="place", time="time",
        items={"place": names, "kind": [one.split()[0] for one in names]},
        item_features={"kind": "category"},
    )  # fmt: skip


def main() -> None:
    data = check_ins()
    split = tw.split.last_fraction(data, test=0.1, repeats="keep")
    lists = {}
    for label, contexts in {
        "general": ("user", "surrounding", "kind"),
        "time-aware": ("user", "surrounding", "kind", "hour", "weekday"),
    }.items():
        model = tw.models.ContextEmbedding(factors=16, contexts=contexts).fit(split.train, rng=0)
        report = tw.evaluate(model, split, ["recall@1", "recall@5"], ask="each event")
        lists[label] = report["recall@5"]
        sys.stdout.write(f"{label}: {report['recall@1']:.3f} {report['recall@5']:.3f}\n")
    if lists["time-aware"] <= lists["general"]:
        raise SystemExit("the time must help here")
    asked = {"time": ["2026-05-04T08:00", "2026-05-04T21:00"]}
    told = {"context": asked, "k": 3, "exclude_seen": False}
    sys.stdout.write(f"p0 at eight and at nine\n{model.recommend(users=['p0', 'p0'], **told)}\n")
    somebody = [["cafe 20", "office 21"], ["gym 11"]]
    answer = model.recommend(histories=somebody, **told)
    sys.stdout.write(f"somebody new in quarter 2 and in quarter 1\n{answer}\n")
    sys.stdout.write(f"hours like 20 o'clock\n{model.context_vectors('hour').similar('20', k=3)}\n")
    with tempfile.TemporaryDirectory() as folder:
        again = tw.load(model.save(Path(folder) / "places")).recommend(histories=somebody, **told)
    if not again.equals(answer):
        raise SystemExit("a loaded model must answer as before")


if __name__ == "__main__":
    main()
