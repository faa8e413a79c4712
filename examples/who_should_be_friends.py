"""Who should be friends: friendships told from strangers, by the graph, by places, by vectors, by everything."""

import sys

import numpy as np

import twofold as tw
from twofold.applications import links


def town(n: int = 120) -> tw.Dataset:
    """Return people of four circles who meet at the places of their circle, and their friendships."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(n), 12)
    own = rng.random(len(person)) < 0.8
    place = np.where(own, person % 4, rng.integers(0, 4, len(person))) * 15
    place += rng.integers(0, 15, len(person))
    a, b = np.triu_indices(n, 1)
    friends = rng.random(len(a)) < np.where(a % 4 == b % 4, 0.25, 0.01)
    return tw.Dataset.from_frames(
        {
            "person": [f"p{one:03}" for one in person],
            "place": [f"place {one}" for one in place],
            "time": rng.integers(0, 30 * 86_400, len(person)),
        },
        user="person",
        item="place",
        time="time",
        links={
            "one": [f"p{at:03}" for at in a[friends]],
            "other": [f"p{at:03}" for at in b[friends]],
        },
    )


def main() -> None:
    data = town()
    split = links.split(data, test=0.2, negatives=1, rng=0)
    sys.stdout.write(f"{split}\n")
    model = tw.models.IALS(factors=8).fit(split.train, rng=0)
    board = links.compare(
        {**links.BASELINES, "vectors of IALS": model, "everything": links.Friendship()},
        split,
        metrics=["auc", "f1", "precision@10"],
    )
    sys.stdout.write(f"{board}\n")
    predictor = links.Friendship().fit(data, rng=0)
    found = predictor.recommend_friends(["p007"], k=3)
    sys.stdout.write(f"new friends for p007\n{found}\n")
    friend = found["friend"][0]
    sys.stdout.write(f"why {friend}\n{predictor.explain('p007', friend).head(4)}\n")
    if int(friend[1:]) % 4 != 7 % 4:
        raise SystemExit("the likeliest friend must be of the same circle")


if __name__ == "__main__":
    main()
