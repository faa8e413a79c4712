"""Songs that nobody has played, found by their sound: a network from log-mel windows to factors."""

import sys
import tempfile
from pathlib import Path

import twofold as tw
from twofold.data.music import generated_music

SOUND = {"sample_rate": 8000, "window": 512, "hop": 256, "bands": 48}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        songs = generated_music(folder / "songs", n_users=300, n_songs=200, plays=25, rng=0)
        split = tw.split.cold_items(songs, test=0.2, rng=0)
        deep = tw.models.DeepContent(
            factorization=tw.models.IALS(factors=8),
            network={"kind": "cnn", "channels": (32, 32), "pools": (4, 2), "hidden": (64,)},
            sound=SOUND,
            epochs=40,
        )
        model = deep.fit(split.train, rng=0)
        board = tw.compare(
            {"by sound": model},
            split,
            ["auc", "ndcg@10"],
            unknown_items="content",
            candidates="new",
        )
        sys.stdout.write(f"songs that nobody has played, among themselves\n{board}\n\n")

        longer = model.with_items(split.test.items)
        listener = split.train.users.ids[0]
        unplayed = split.test.items.ids.ids.to_list()
        lists = longer.recommend(users=[listener], allow=unplayed, k=3)
        sys.stdout.write(f"for listener {listener}\n{lists}\n")
        sys.stdout.write(f"sounds like {unplayed[0]}\n{longer.similar_items(unplayed[0], k=3)}\n")
        again = tw.load(longer.save(folder / "model"))
        if not again.recommend(users=[listener], allow=unplayed, k=3).equals(lists):
            raise SystemExit("a loaded model must answer as before")


if __name__ == "__main__":
    main()
