"""From a log to a leaderboard, recommendations with reasons, and a saved model."""

import sys
import tempfile
from pathlib import Path

import twofold as tw


def main() -> None:
    data = tw.datasets.load_or_generate("ml-100k")
    split = tw.split.last_fraction(data, test=0.2)
    models = {"ease": tw.models.EASE(), "ials": tw.models.IALS(), "knn": tw.models.ItemKNN()}
    board = tw.compare(models, split, ["ndcg@10", "recall@10", "coverage@10"])
    sys.stdout.write(f"{board}\n\n")

    model = tw.models.EASE().fit(data)
    user = model.users.ids[0]
    lists = model.recommend(users=[user, "nobody"], k=3)
    sys.stdout.write(f"{lists}\n{model.explain(user, lists['item'][0]).head(3)}\n")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "ease")
        again = tw.load(Path(folder) / "ease").recommend(users=[user], k=3)
    if again["item"].to_list() != lists["item"].to_list()[:3]:
        raise SystemExit("a loaded model must answer as before")


if __name__ == "__main__":
    main()
