"""Train one peer once and write the seconds, after a training of one pass that is not counted."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
user, item, value = given["user"], given["item"], given["value"]
shape = (settings["n_users"], settings["n_items"])
d, epochs = settings["factors"], settings["epochs"]


def triples():
    from cornac.data import Dataset

    return Dataset.from_uir(list(zip(user.tolist(), item.tolist(), value.astype(float).tolist())))


def pairs():
    return csr_matrix((np.ones(len(user), np.float32), (user, item)), shape)


def cornac_mf():
    from cornac.models import MF

    data = triples()
    return lambda n: MF(
        k=d, max_iter=n, learning_rate=0.01, lambda_reg=0.02, use_bias=True, seed=0, num_threads=2
    ).fit(data)


def cornac_bpr():
    from cornac.models import BPR

    data = triples()
    return lambda n: BPR(
        k=d, max_iter=n, learning_rate=0.05, lambda_reg=0.01, seed=0, num_threads=2
    ).fit(data)


def implicit_bpr():
    from implicit.bpr import BayesianPersonalizedRanking

    rows = pairs()
    return lambda n: BayesianPersonalizedRanking(
        factors=d, learning_rate=0.05, regularization=0.01, iterations=n, random_state=0
    ).fit(rows, show_progress=False)


def implicit_als():
    from implicit.als import AlternatingLeastSquares

    rows = pairs()
    return lambda n: AlternatingLeastSquares(
        factors=d, regularization=1.0, iterations=n, random_state=0
    ).fit(rows, show_progress=False)


def irspack_als():
    from irspack import IALSRecommender

    rows = pairs()

    def train(n):
        model = IALSRecommender(rows, n_components=d, train_epochs=n, n_threads=2)
        model.learn()

    return train


def myfm():
    import myfm as library

    blocks = [
        library.RelationBlock(user.astype(np.int64), csr_matrix(np.eye(shape[0]))),
        library.RelationBlock(item.astype(np.int64), csr_matrix(np.eye(shape[1]))),
    ]
    groups = [shape[0], shape[1]]
    return lambda n: library.MyFMRegressor(rank=d, random_seed=0).fit(
        None, value.astype(float), X_rel=blocks, n_iter=n, n_kept_samples=1, group_shapes=groups
    )


train = {
    "cornac MF": cornac_mf,
    "cornac BPR": cornac_bpr,
    "implicit BPR": implicit_bpr,
    "implicit ALS": implicit_als,
    "irspack IALS": irspack_als,
    "myFM": myfm,
}[settings["name"]]()
train(1)
began = time.perf_counter()
train(epochs)
seconds = time.perf_counter() - began
(folder / "out.json").write_text(json.dumps({"seconds": seconds}))
