"""CTR and CDL beside cornac's on articles with words: how well each finds a person's others, and the seconds of training.

``python benchmarks/speed/words.py [--p 10] [--users 1000] [--only NAME,NAME] [--runs 3] [--seed 0] [--set NAME=VALUE,...]
[--validation] [--merge] [--save]``

``--set`` changes ours and, where cornac's has it, cornac's.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import twofold as tw

sys.path.insert(0, str(Path(__file__).parents[1]))
import articles
import beside
from articles import AT, DEEPEST

P, SEED = int(beside.option("--p", "10")), int(beside.option("--seed", "0"))
USERS, RUNS = int(beside.option("--users", "1000")), int(beside.option("--runs", "3"))
SHARES = (0.05, 0.1, 0.25, 0.5, 1)
"""Shares of the passes after which ours is looked at."""
MODELS: dict[str, tw.models.CTR | tw.models.CDL] = {  # so many rounds that three runs take minutes
    "CTR": tw.models.CTR(factors=50, vocabulary=8000, epochs=20),
    "CTR from even proportions": tw.models.CTR(
        factors=50, vocabulary=8000, start="even", epochs=20
    ),
    "CDL": tw.models.CDL(
        vocabulary=8000, user_reg=0.1, item_reg=10, weight_reg=1, batch_size=256, epochs=8
    ),
}


class Race:
    """One of our models and cornac's on the same log and words."""

    def __init__(self, ours: tw.models.CTR | tw.models.CDL) -> None:
        """Draw the split, and compile."""
        self.ours = ours
        self.train, self.test = articles.task(
            P, SEED, users=USERS, validation="--validation" in sys.argv, known=True
        )
        replace(ours, epochs=1).fit(self.train, rng=SEED)

    def quality(self, model: tw.FittedModel) -> tuple[float, float]:
        """Return recall and mean average precision."""
        found = articles.measure(model, self.train.interactions.matrix(), self.test)
        return float(found[0].mean()), float(found[1].mean())

    def run(self, epochs: int) -> tuple[float, tuple[float, float]]:
        """Train ours; return its seconds and quality."""
        began = time.perf_counter()
        model = replace(self.ours, epochs=epochs).fit(self.train, rng=SEED)
        return time.perf_counter() - began, self.quality(model)

    def enough(self, reached: tuple[float, float]) -> int | None:
        """Return the passes after which ours is as good as what a peer `reached`, in both; None where it never is."""
        for passes in dict.fromkeys(max(1, round(self.ours.epochs * share)) for share in SHARES):
            found = self.run(passes)[1]
            if all(mine >= theirs for mine, theirs in zip(found, reached, strict=True)):
                return passes
        return None


def row_of(name: str, race: Race) -> list[str]:
    """Return the line of one model."""
    whole = race.ours.epochs
    theirs, ours, early = list[float](), list[float](), list[float]()
    reached = own = (0.0, 0.0)
    passes: int | None = None
    for run in range(RUNS):
        made = articles.cornac(race.ours, race.train, SEED)
        if isinstance(made, str):
            return [name, made, *[""] * 6]
        theirs.append(made[1])
        took, own = race.run(whole)
        ours.append(took)
        if not run:
            reached = race.quality(made[0])
            passes = race.enough(reached)
        if passes is not None:
            early.append(race.run(passes)[0])
    sys.stderr.write(f"{name}: {theirs} {reached}; ours {ours} {own}, {passes} passes {early}\n")
    other = np.median(theirs)
    return [
        name,
        *(f"{one:.4f} / {mine:.4f}" for one, mine in zip(reached, own, strict=True)),
        f"{other:.1f} / {np.median(ours):.1f}",
        f"{other / np.median(ours):.1f}",
        f"{min(theirs) / max(ours):.1f} to {max(theirs) / min(ours):.1f}",
        f"{other / np.median(early):.1f}" if early else "never",
        f"{whole} / {passes or '-'}",
    ]


def main() -> None:
    """Time and print the table."""
    only = beside.option("--only", "")
    races = {
        name: Race(replace(ours, **beside.settings()))
        for name, ours in MODELS.items()
        if not only or name in only.split(",")
    }
    train = next(iter(races.values())).train
    bag = train.items.features["words"]
    beside.table(
        "Training on words beside cornac",
        [
            f"citeulike-t, the first {USERS:,} users, P = {P} articles of each in training (seed {SEED}): {len(train):,} events and {train.n_items:,} articles",
            f"with {len(bag.codes):,} words that are counted; the articles of training are the candidates, without those that a person has. 8,000 words, K = 50,",
            "the same constants and rounds, CDL with the layers 8000-200-50-200-8000 and its decoder (cornac's activation is ReLU throughout, ours sigmoid around",
            f"a linear code). Medians of {RUNS} runs that alternate, on two cores with nothing else running; building a peer's data set is not counted. Ratio: cornac's",
            "seconds over ours, for the same rounds (range: what the slowest and fastest runs would give), and until ours is as good as cornac's is then in both.",
        ],
        [
            "training", f"cornac's / our recall@{AT}", f"map@{DEEPEST}", "seconds", "ratio, same rounds", "range",
            "ratio, as good", "rounds",
        ],
        [row_of(name, race) for name, race in races.items()],
    )  # fmt: skip


if __name__ == "__main__":
    main()
