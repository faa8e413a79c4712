"""Two stages: IALS and EASE name candidates, another model orders them; beside each part alone."""

import sys
import tempfile
from pathlib import Path

import twofold as tw


def main() -> None:
    data = tw.datasets.load_or_generate("ml-100k")
    split = tw.split.last_fraction(data, validation=0.1, test=0.2)
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
    metrics = ["ndcg@10", "recall@10", "coverage@10", "diversity@10"]
    # What is served is chosen on the validation part; the test part says how good the choice is.
    for part in ("validation", "test"):
        sys.stdout.write(f"{tw.compare(models, split, metrics, part=part)}\n\n")

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
