"""King - man + woman, on sentences whose answers are known, and a map of the words."""

import sys
from pathlib import Path

import twofold as tw
from twofold.applications import analogies, map2d


def main() -> None:
    planted = analogies.planted(pairs=8, sentences=3000, rng=0)
    model = tw.models.IALS(factors=16).fit(planted.data, rng=0)
    found = analogies.analogy(model, "capital-3", "country-3", "country-7", k=3)
    sys.stdout.write(f"capital-3 - country-3 + country-7\n{found}\n")
    sys.stdout.write(f"nearest to capital-7\n{model.similar_items('capital-7', k=3)}\n")
    right = analogies.evaluate(model, planted.questions, method="mul")
    sys.stdout.write(f"{right}\n")
    words = tw.Vectors(model.items.ids, model.similarity_vectors)
    kinds = [one.split("-")[0] for one in words.tokens.ids]
    path = map2d.draw(words, method="pca", groups=kinds).to_html(Path("words.html"))
    sys.stdout.write(f"wrote {path}\n")
    if found["item"][0] != "capital-7" or right["accuracy"][-1] < 0.9:
        raise SystemExit("planted relations must be found")


if __name__ == "__main__":
    main()
