"""Social link prediction: scores, vectors of models, walks and everything together, on friendships held out.

``python benchmarks/quality/links.py [lbsn2vec-nyc hetrec-lastfm-2k] [--seed 0] [--negatives 1] [--people 500] [--save]``
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import twofold as tw
from twofold.applications import links
from twofold.models import BPR, IALS

sys.path.insert(0, str(Path(__file__).parents[1]))
import beside

SEED = int(beside.option("--seed", "0"))
NEGATIVES = int(beside.option("--negatives", "1"))
PEOPLE = int(beside.option("--people", "500"))
METRICS = ["auc", "f1", "precision@10", "recall@10"]
LOGS = ("lbsn2vec-nyc", "hetrec-lastfm-2k")


def split_of(name: str) -> links.LinkSplit:
    """Return the new friendships of the later day, or a fifth of all where there is no later day."""
    data = tw.datasets.load(name)
    later = tw.datasets.later_links(name) if name in tw.datasets.LATER_LINKS else None
    return links.split(data, later=later, negatives=NEGATIVES, rng=SEED)


def contenders(train: tw.Dataset) -> dict[str, Any]:
    """Return what is compared; vectors are learned from what people did, friendships left out."""
    found: dict[str, Any] = {**links.BASELINES}
    ials = IALS(factors=32).fit(train, rng=SEED)
    for operator in links.OPERATORS:
        found[f"IALS, {operator}"] = links.PairsOfVectors(model=ials, operator=operator)
    found["BPR, hadamard"] = BPR(factors=32).fit(train, rng=SEED)
    # Skip-gram over walks; printed where the package has it.
    token2vec = getattr(tw.models, "Token2Vec", None) if "Token2Vec" in tw.models.__all__ else None
    if token2vec is not None:
        for operator in ("hadamard", "l2"):
            found[f"DeepWalk, {operator}"] = links.DeepWalk(
                embed=token2vec(factors=64, epochs=2), operator=operator
            )
    found["everything, linear"] = links.Friendship(knots=0)
    found["everything"] = links.Friendship()
    return found


def main() -> None:
    """Print a table a log."""
    for name in [one for one in sys.argv[1:] if one in LOGS] or LOGS:
        split = split_of(name)
        board = links.compare(
            contenders(split.train), split, metrics=METRICS, most_people=PEOPLE, rng=SEED
        )
        table = board.table()
        beside.table(
            f"Friendships of {name}",
            [
                f"{board.foot}. Seed {SEED}.",
                *(f"- `{metric}`: {text}." for metric, text in links.DEFINITIONS.items()),
            ],
            table.columns,
            [list(row) for row in table.iter_rows()],
            suffix=f"_{name}",
        )


if __name__ == "__main__":
    main()
