"""Draw the architecture of every network from the weights of a fitted one: ``python docs/figures.py``.

A model with its default widths is fitted for one pass on a small log, and each of its chains of weight matrices
becomes a column of boxes; what joins the columns is said below.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

import twofold as tw
from twofold.data.music import generated_music
from twofold.testing import planted_log

FOLDER = Path(__file__).parent / "images"
BOX, GAP, STEP = 2.6, 0.6, 1.0
mpl.rcParams["svg.hashsalt"] = "twofold"
mpl.rcParams["svg.fonttype"] = "none"


def chain(weights: Mapping[str, Any] | tuple[Any, ...], first: str, between: str) -> list[str]:
    """Return the boxes of a tower from the input upwards: widths as the matrices have them."""
    matrices = (
        list(weights)
        if isinstance(weights, tuple)
        else [one for name, one in weights.items() if one.ndim == 2 and name.endswith("weight")]
    )
    for above, below in pairwise(matrices):
        assert above.shape[1] == below.shape[0], "the matrices are no chain"
    labels = [f"{first}\n{matrices[0].shape[0]:,} on this log"]
    labels += [f"{between} {one.shape[1]:,}" for one in matrices]
    return labels


def draw(name: str, towers: dict[str, list[str]], joined: str) -> None:
    """Write one figure: a column a tower, what joins them on top."""
    tallest = max(len(one) for one in towers.values())
    width = len(towers) * (BOX + GAP)
    figure, axes = plt.subplots(figsize=(1.1 * width, 0.75 * (tallest + 2)))
    axes.set_xlim(0, width)
    axes.set_ylim(0, (tallest + 1.6) * STEP)
    axes.axis("off")
    top = (tallest + 0.9) * STEP
    for at, (title, labels) in enumerate(towers.items()):
        left = at * (BOX + GAP) + GAP / 2
        axes.text(left + BOX / 2, 0.02, title, ha="center", va="bottom", fontweight="bold")
        for level, label in enumerate(labels):
            low = 0.45 + level * STEP
            axes.add_patch(plt.Rectangle((left, low), BOX, 0.62, fill=False))
            axes.text(left + BOX / 2, low + 0.31, label, ha="center", va="center", fontsize=9)
            end = low + STEP if level + 1 < len(labels) else top - 0.05
            axes.annotate(
                "",
                (left + BOX / 2, end),
                (left + BOX / 2, low + 0.62),
                arrowprops={"arrowstyle": "->"},
            )
    axes.text(width / 2, top + 0.05, joined, ha="center", va="bottom")
    figure.savefig(FOLDER / f"{name}.svg", bbox_inches="tight", facecolor="white", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Fit each network for a pass and draw it."""
    models, log = tw.models, planted_log()
    dssm = models.DSSM(content="title", epochs=1).fit(log, rng=0)
    draw(
        "dssm",
        {
            "query or history": chain(dssm.query_tower, "letter n-grams", "tanh"),
            "item": chain(dssm.item_tower, "letter n-grams", "tanh"),
        },
        "cosine, softmax over one clicked and J drawn items",
    )
    views = models.MultiViewDSSM(content="title", view=None, epochs=1).fit(log, rng=0)
    draw(
        "multi_view_dssm",
        {
            "people": chain(views.user_tower, "reduced features", "tanh"),
            "view 1": chain(views.item_towers[0], "letter n-grams", "tanh"),
            "view N": chain(views.item_towers[0], "letter n-grams", "tanh"),
        },
        "cosine of people and the active view, softmax over items of that view",
    )
    deep = models.DeepContent(epochs=1).fit(log, rng=0)
    with tempfile.TemporaryDirectory() as folder:
        songs = generated_music(folder, n_users=20, n_songs=12, plays=5)
        cnn = models.DeepContent(
            network={"kind": "cnn"}, epochs=1, sound={"sample_rate": 8000, "hop": 256}
        ).fit(songs, rng=0)
    kernels = [one for one in cnn.network.weights.values() if one.ndim == 3]
    sound = [f"log-mel window\n{kernels[0].shape[1]} bands x 3 s"]
    sound += [f"convolution {one.shape[0]} x {one.shape[2]}, max" for one in kernels]
    sound += ["mean, max, L2 over time"]
    sound += [
        f"relu {one.shape[1]}" if at == 0 else f"linear {one.shape[1]}"
        for at, one in enumerate(one for one in cnn.network.weights.values() if one.ndim == 2)
    ]
    words = chain(deep.network.weights, "words, tags, numbers", "relu")
    words[-1] = words[-1].replace("relu", "linear")
    draw("deep_content", {"MLP": words, "CNN": sound}, "the factors of a factorization")
    ctr = models.CTR(content="title").fit(log, rng=0)
    words, topics = ctr.topic_words.shape
    item = [f"words\n{words:,} on this log", f"topics {topics}", f"item factors {ctr.item_factors.shape[1]}"]
    factors = [f"user factors\n{ctr.user_factors.shape[1]}"]
    draw("ctr", {"item": item, "user": factors}, "item factors around the topics, times user factors")
    cdl = models.CDL(content="title", epochs=1).fit(log, rng=0)
    code = chain(cdl.encoder_weights, "words, some masked", "sigmoid")
    code[-1] = code[-1].replace("sigmoid", "code, linear")
    factors = [f"user factors\n{cdl.user_factors.shape[1]}"]
    draw("cdl", {"item": code, "user": factors}, "item factors around the code, times user factors")
    candidates = models.YouTubeCandidates(depth=2, epochs=1).fit(log, rng=0)
    draw(
        "youtube_candidates",
        {
            "person at a moment": chain(
                {k: v for k, v in candidates.weights.items() if k.startswith("layers")},
                "mean of watches, columns, age", "relu",
            ),
            "item": [f"embedding {candidates.weights['items.weight'].shape[1]}"],
        },
        "softmax over the catalogue",
    )  # fmt: skip
    ranker = models.YouTubeRanker(epochs=1).fit(log, rng=0)
    layers = {k: v for k, v in ranker.weights.items() if k.startswith("layers")}
    boxes = chain(layers, "embeddings, x, x^2, sqrt(x)", "relu")
    boxes[-1] = boxes[-1].replace("relu", "linear")
    draw("youtube_ranker", {"person and item": boxes}, "logit, weighted by watch time")


if __name__ == "__main__":
    main()
