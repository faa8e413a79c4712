"""implicit, cornac and lenskit on pairs: the vectors that they learn, and the seconds of training."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
user, item = given["user"], given["item"]
n_users, n_items = settings["n_users"], settings["n_items"]
name, grid, seed = settings["name"], settings["grid"], settings["seed"]


def implicit_als(weight, reg, epochs):
    from implicit.als import AlternatingLeastSquares

    rows = csr_matrix((np.full(len(user), weight, np.float32), (user, item)), (n_users, n_items))
    model = AlternatingLeastSquares(
        factors=64, regularization=reg, iterations=int(epochs), alpha=1.0, random_state=seed
    )
    began = time.perf_counter()
    model.fit(rows, show_progress=False)
    return model.user_factors, model.item_factors, time.perf_counter() - began


def implicit_bpr(rate, reg, epochs):
    from implicit.bpr import BayesianPersonalizedRanking

    rows = csr_matrix((np.ones(len(user), np.float32), (user, item)), (n_users, n_items))
    model = BayesianPersonalizedRanking(
        factors=64,
        learning_rate=rate,
        regularization=reg,
        iterations=int(epochs),
        random_state=seed,
    )
    began = time.perf_counter()
    model.fit(rows, show_progress=False)
    return model.user_factors, model.item_factors, time.perf_counter() - began


def cornac_bpr(rate, reg, epochs):
    from cornac.data import Dataset
    from cornac.models import BPR

    ones = np.ones(len(user))
    data = Dataset.from_uir(list(zip(user.tolist(), item.tolist(), ones.tolist())))
    model = BPR(
        k=64, max_iter=int(epochs), learning_rate=rate, lambda_reg=reg, seed=seed, verbose=False
    )
    began = time.perf_counter()
    model.fit(data)
    seconds = time.perf_counter() - began
    left = np.zeros((n_users, 65), np.float32)
    right = np.zeros((n_items, 65), np.float32)
    right[:, 64] = -1e6  # items that training lacks come last
    people = np.array(list(data.uid_map), np.int64)
    things = np.array(list(data.iid_map), np.int64)
    left[people, :64], left[people, 64] = model.u_factors, 1
    right[things, :64], right[things, 64] = model.i_factors, model.i_biases
    return left, right, seconds


def lenskit_als(weight, reg, epochs):
    import pandas as pd
    from lenskit.als import ImplicitMFScorer
    from lenskit.data import from_interactions_df
    from lenskit.training import TrainingOptions

    frame = pd.DataFrame({"user_id": user, "item_id": item})
    data = from_interactions_df(frame)
    model = ImplicitMFScorer(
        embedding_size=64, epochs=int(epochs), regularization=reg, weight=weight
    )
    began = time.perf_counter()
    model.train(data, TrainingOptions(rng=seed))
    seconds = time.perf_counter() - began
    left, right = np.zeros((n_users, 64), np.float32), np.zeros((n_items, 64), np.float32)
    left[data.users.ids()] = np.asarray(model.user_embeddings)
    right[data.items.ids()] = np.asarray(model.item_embeddings)
    return left, right, seconds


kinds = {
    "implicit ALS": implicit_als,
    "lenskit ImplicitMF": lenskit_als,
    "implicit BPR": implicit_bpr,
    "cornac BPR": cornac_bpr,
}
left, right, seconds = kinds[name](*grid)
np.savez(folder / "out.npz", users=left, items=right)
(folder / "out.json").write_text(json.dumps({"seconds": seconds}))
