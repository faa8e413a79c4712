"""Two stages: IALS and EASE name candidates, another model orders them; beside each part alone."""

import sys
import tempfile
from pathlib import Path

import twofold as tw


def main() -> None:
    data = tw.datasets.load_or_generate("ml-100k")
    split = tw.split.last_fraction(data, test=0.2)
    ials = tw.models.IALS(factors=32).fit(split.train, rng=0)
    ease = tw.models.EASE().fit(split.train, rng=0)
    bpr = tw.models.BPR(factors=32).fit(split.train, rng=0)
    two = tw.Pipeline.join([ials, ease], bpr, depth=50)
    models = {
        "ials": ials,
        "ease": ease,
        "bpr": bpr,
        "merged": tw.Pipeline.join([ials, ease], depth=50),
        "two stages": two,
        "with variety": tw.Pipeline.join([ials, ease], depth=50, diversity=0.3),
    }
    board = tw.compare(models, split, ["ndcg@10", "recall@10", "coverage@10", "diversity@10"])
    sys.stdout.write(f"{board}\n\n")

    user = two.users.ids[0]
    lists = two.recommend(users=[user, "nobody"], k=3)
    sys.stdout.write(f"{lists}\n{two.explain(user, lists['item'][0]).head(3)}\n")
    with tempfile.TemporaryDirectory() as folder:
        two.save(Path(folder) / "two")
        again = tw.load(Path(folder) / "two").recommend(users=[user, "nobody"], k=3)
    if not again.equals(lists):
        raise SystemExit("a loaded pipeline must answer as before")


if __name__ == "__main__":
    main()
