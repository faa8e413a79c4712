"""Articles for researchers: one that nobody has saved yet, by the words of its abstract."""

import sys

import numpy as np

import twofold as tw
from twofold.errors import TwofoldError

FIELDS = {
    "genes": "gene protein cell sequence expression genome mutation pathway receptor enzyme",
    "learning": "model training kernel gradient network classifier bayesian inference sample feature",
    "networks": "graph node community degree clustering web link random centrality diffusion",
}


def written(n_readers: int = 90, n_articles: int = 150) -> tw.Dataset:
    """Return readers of one field each, and articles of twelve words, two of them of another field."""
    rng = np.random.default_rng(0)
    fields = [one.split() for one in FIELDS.values()]
    words = []
    for at in range(n_articles):
        own = rng.choice(fields[at % 3], 10).tolist()
        words.append(" ".join(own + rng.choice(fields[(at + 1) % 3], 2).tolist()))
    log = [
        (reader, f"a{item}")
        for reader in range(n_readers)
        for item in rng.choice(np.arange(reader % 3, n_articles, 3), 15, replace=False)
    ]
    readers, items = zip(*log, strict=True)
    articles = {"article": [f"a{at}" for at in range(n_articles)], "words": words}
    return tw.Dataset.from_frames(
        {"reader": readers, "article": items},
        user="reader",
        item="article",
        items=articles,
        item_features={"words": "text"},
    )


def libraries() -> tw.Dataset:
    """Return a tenth of citeulike-t where it is there, and made-up libraries elsewhere."""
    try:
        data = tw.datasets.load("citeulike-t")
    except TwofoldError:
        return written()
    return data.part(np.flatnonzero(data.interactions.user % 10 == 0))


def main() -> None:
    data = libraries()
    split = tw.split.cold_items(data, test=0.2, rng=0)
    models = {
        "BM25": tw.models.ItemKNN(content=("words",), similarity="bm25"),
        "CTR": tw.models.CTR(factors=20, content="words"),
        "CDL": tw.models.CDL(factors=20, content="words", hidden=(100,), epochs=5),
    }
    board = tw.compare(
        models, split, ["recall@20", "ndcg@10"], unknown_items="content", candidates="new"
    )
    sys.stdout.write(f"articles that nobody has saved, among themselves\n{board}\n\n")
    model = models["CTR"].fit(split.train, rng=0).with_items(split.test.items)
    reader = split.train.users.ids[0]
    fresh = split.test.items.ids.ids.to_list()
    sys.stdout.write(
        f"new articles for {reader}\n{model.recommend(users=[reader], allow=fresh, k=3)}\n"
    )
    sys.stdout.write(f"like {fresh[0]}\n{model.similar_items(fresh[0], k=3)}\n")


if __name__ == "__main__":
    main()
