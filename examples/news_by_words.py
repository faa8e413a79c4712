"""News by words: headlines that nobody has read, for readers, for a few words and for a stranger."""

import sys
import tempfile
from pathlib import Path

import numpy as np

import twofold as tw
from twofold.errors import TwofoldError

TOPICS = {
    "sport": [
        "match",
        "goal",
        "league",
        "coach",
        "striker",
        "season",
        "final",
        "penalty",
        "stadium",
        "transfer",
    ],
    "money": [
        "bank",
        "shares",
        "market",
        "inflation",
        "rates",
        "budget",
        "profit",
        "trade",
        "currency",
        "investors",
    ],
    "weather": [
        "storm",
        "rain",
        "flood",
        "heat",
        "snow",
        "wind",
        "forecast",
        "drought",
        "cold",
        "thunder",
    ],
}


def written(n_readers: int = 90, n_titles: int = 240) -> tw.Dataset:
    """Return readers with one topic each, and headlines of four words."""
    rng = np.random.default_rng(0)
    names = list(TOPICS)
    titles = [
        " ".join(rng.choice(TOPICS[names[at % 3]], 4, replace=False)) for at in range(n_titles)
    ]
    reads = [
        (at, rng.choice(np.arange(at % 3, n_titles, 3), 12, replace=False))
        for at in range(n_readers)
    ]
    log = {
        "reader": [reader for reader, items in reads for _ in items],
        "news": [f"n{item}" for _, items in reads for item in items],
    }
    news = {"news": [f"n{at}" for at in range(n_titles)], "text": titles}
    return tw.Dataset.from_frames(
        log, user="reader", item="news", items=news, item_features={"text": "text"}
    )


def clicks() -> tw.Dataset:
    """Return the clicks on Bing News where they are there, and made-up ones elsewhere."""
    try:
        data = tw.datasets.load("bing-news")
    except TwofoldError:
        return written()
    return data.part(np.flatnonzero(data.interactions.value > 0))


def main() -> None:
    data = clicks()
    split = tw.split.cold_items(data, test=0.1, rng=0)
    dssm = tw.models.DSSM(
        encoder={"kind": "dense", "hidden": (64,)}, factors=32, towers="shared", epochs=3
    )
    model = dssm.fit(split.train, rng=0).with_items(split.test.items)
    reader = split.train.users.ids[0]
    sys.stdout.write(f"unread headlines for {reader}\n")
    unread = split.test.items.ids.ids.to_list()
    sys.stdout.write(f"{model.recommend(users=[reader], allow=unread, k=3)}\n")
    sys.stdout.write(f"by words\n{model.recommend(text=['storm and rain', 'league final'], k=3)}\n")
    history = split.train.items.ids.ids.to_list()[:2]
    lists = model.recommend(histories=[history], k=3)
    sys.stdout.write(f"for a stranger who read {history}\n{lists}\n")
    with tempfile.TemporaryDirectory() as folder:
        again = tw.load(model.save(Path(folder) / "news")).recommend(histories=[history], k=3)
    if not again.equals(lists):
        raise SystemExit("a loaded model must answer as before")


if __name__ == "__main__":
    main()
