"""Train gensim on sequences of token numbers; write the seconds of training and the vectors it learned."""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from gensim.models import Doc2Vec, Word2Vec
from gensim.models.doc2vec import TaggedDocument

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
names = list(map(str, range(settings["n_tokens"])))
token, indptr = given["token"].tolist(), given["indptr"].tolist()
sentences = [[names[one] for one in token[a:b]] for a, b in pairwise(indptr)]
kind, documents = settings["name"], settings["name"].startswith("pv")
shared = {
    "vector_size": settings["factors"],
    "window": settings["window"],
    "negative": settings["negatives"],
    "sample": settings["subsample"],
    "alpha": settings["rate"],
    "workers": settings["workers"],
    "epochs": settings["epochs"],
    "min_count": 1,
    "seed": 1,
}
if documents:
    corpus = [TaggedDocument(words, [row]) for row, words in enumerate(sentences)]
    model = Doc2Vec(dm=int(kind == "pv-dm"), **shared)
else:
    corpus = sentences
    model = Word2Vec(sg=int(kind == "skip-gram"), **shared)
model.build_vocab(corpus)
began = time.perf_counter()
model.train(corpus, total_examples=len(corpus), epochs=settings["epochs"])
seconds = time.perf_counter() - began


def by_row(vectors):
    """Put gensim's rows where ours are."""
    out = np.zeros((settings["n_tokens"], settings["factors"]), np.float32)
    out[np.array(model.wv.index_to_key, np.int64)] = vectors
    return out


made = {"tokens": by_row(model.wv.vectors), "outputs": by_row(model.syn1neg)}
if documents:
    made["documents"] = model.dv.vectors
np.savez(folder / "out.npz", **made)
(folder / "out.json").write_text(json.dumps({"seconds": seconds}))
