"""Train one peer once and write the seconds, after a training of one pass that is not counted.

With ``answer`` it also writes what the peer learned: vectors, or the scores of the test pairs.
"""

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
rate, reg, weight = (settings.get(name) for name in ("rate", "reg", "weight"))


def triples():
    from cornac.data import Dataset

    return Dataset.from_uir(list(zip(user.tolist(), item.tolist(), value.astype(float).tolist())))


def pairs(weight=1.0):
    return csr_matrix((np.full(len(user), weight, np.float32), (user, item)), shape)


def by_row(ids, rows, n):
    """Put a peer's rows where ours are; its ids are our rows."""
    out = np.zeros((n, *rows.shape[1:]), np.float32)
    out[np.array(list(ids), np.int64)] = rows
    return out


def cornac_mf():
    from cornac.models import MF

    data = triples()

    def train(n):
        model = MF(
            k=d,
            max_iter=n,
            learning_rate=rate,
            lambda_reg=reg,
            use_bias=True,
            seed=0,
            num_threads=2,
        )
        return model.fit(data)

    def answer(model):
        p, q = (
            by_row(data.uid_map, model.u_factors, shape[0]),
            by_row(data.iid_map, model.i_factors, shape[1]),
        )
        b, c = (
            by_row(data.uid_map, model.u_biases, shape[0]),
            by_row(data.iid_map, model.i_biases, shape[1]),
        )
        u, i = given["test_user"], given["test_item"]
        return {"score": model.global_mean + b[u] + c[i] + np.einsum("nd,nd->n", p[u], q[i])}

    return train, answer


def surprise_svd():
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    reader = Reader(rating_scale=(float(value.min()), float(value.max())))
    frame = pd.DataFrame({"user": user, "item": item, "value": value})
    data = Dataset.load_from_df(frame, reader).build_full_trainset()

    def train(n):
        return SVD(n_factors=d, n_epochs=n, lr_all=rate, reg_all=reg, random_state=0).fit(data)

    def answer(model):
        p, q = np.zeros((shape[0], d)), np.zeros((shape[1], d))
        b, c = np.zeros(shape[0]), np.zeros(shape[1])
        people = [data.to_raw_uid(row) for row in range(data.n_users)]
        things = [data.to_raw_iid(row) for row in range(data.n_items)]
        p[people], q[things], b[people], c[things] = model.pu, model.qi, model.bu, model.bi
        u, i = given["test_user"], given["test_item"]
        return {"score": data.global_mean + b[u] + c[i] + np.einsum("nd,nd->n", p[u], q[i])}

    return train, answer


def cornac_bpr():
    from cornac.models import BPR

    data = triples()

    def train(n):
        return BPR(k=d, max_iter=n, learning_rate=rate, lambda_reg=reg, seed=0, num_threads=2).fit(
            data
        )

    def answer(model):
        left = np.ones((shape[0], d + 1), np.float32)
        right = np.full((shape[1], d + 1), -1e6, np.float32)  # items that training lacks come last
        left[:, :d] = by_row(data.uid_map, model.u_factors, shape[0])
        things = np.array(list(data.iid_map), np.int64)
        right[things, :d], right[things, d] = model.i_factors, model.i_biases
        return {"users": left, "items": right}

    return train, answer


def vectors(model):
    return {"users": np.asarray(model.user_factors), "items": np.asarray(model.item_factors)}


def implicit_bpr():
    from implicit.bpr import BayesianPersonalizedRanking

    rows = pairs()

    def train(n):
        model = BayesianPersonalizedRanking(
            factors=d, learning_rate=rate, regularization=reg, iterations=n, random_state=0
        )
        model.fit(rows, show_progress=False)
        return model

    return train, vectors


def implicit_als():
    from implicit.als import AlternatingLeastSquares

    rows = pairs(weight)

    def train(n):
        model = AlternatingLeastSquares(
            factors=d, regularization=reg, alpha=1.0, iterations=n, random_state=0
        )
        model.fit(rows, show_progress=False)
        return model

    return train, vectors


def irspack_als():
    from irspack import IALSRecommender

    rows = pairs()

    def train(n):
        model = IALSRecommender(
            rows, n_components=d, alpha0=weight, reg=reg, nu=1.0, train_epochs=n, n_threads=2
        )
        model.learn()
        return model

    def answer(model):
        return {
            "users": np.asarray(model.get_user_embedding(), np.float32),
            "items": np.asarray(model.get_item_embedding(), np.float32),
        }

    return train, answer


def levels(codes):
    """Return one column a level, shape (n, levels)."""
    return csr_matrix(
        (np.ones(len(codes)), (np.arange(len(codes)), codes)), (len(codes), codes.max() + 1)
    )


def myfm():
    import myfm as library
    from scipy.sparse import hstack, identity

    sides, groups = [], []
    for n, names in ((shape[0], ("age", "occupation", "gender")), (shape[1], ("genre",))):
        parts = [identity(n, format="csr")]
        parts += [levels(given[f"feature_{one}"]) for one in names if f"feature_{one}" in given]
        groups += [one.shape[1] for one in parts]
        sides.append(hstack(parts).tocsr())

    def blocks(u, i):
        return [
            library.RelationBlock(rows.astype(np.int64), side) for rows, side in zip((u, i), sides)
        ]

    def train(n):
        return library.MyFMRegressor(rank=d, random_seed=0).fit(
            None, value.astype(float), X_rel=blocks(user, item), n_iter=n, n_kept_samples=n - n // 2,
            group_shapes=groups,
        )  # fmt: skip

    def answer(model):
        return {"score": model.predict(None, blocks(given["test_user"], given["test_item"]))}

    return train, answer


def xlearn_fm():
    import os

    os.environ.setdefault("USER", "nobody")
    import xlearn

    sizes = {"user": shape[0], "item": shape[1]}
    names = [
        name for name in ("age", "occupation", "gender", "genre") if f"feature_{name}" in given
    ]
    starts, total = {}, 0
    for name in ("user", "item", *names):
        starts[name] = total
        total += sizes.get(name) or int(given[f"feature_{name}"].max()) + 1

    def write(path, u, i, y):
        columns = [u + starts["user"], i + starts["item"]]
        columns += [given[f"feature_{n}"][i if n == "genre" else u] + starts[n] for n in names]
        with Path(path).open("w") as file:
            for target, row in zip(y.tolist(), np.stack(columns, 1).tolist()):
                file.write(f"{target:g} " + " ".join(f"{one}:1" for one in row) + "\n")

    write(folder / "train.txt", user, item, value)
    u, i = given["test_user"], given["test_item"]
    write(folder / "test.txt", u, i, np.zeros(len(u)))
    options = {"task": "reg", "lr": rate, "lambda": reg, "k": d, "opt": "adagrad", "nthread": 2}

    def train(n):
        model = xlearn.create_fm()
        model.setTrain(str(folder / "train.txt"))
        model.disableEarlyStop()
        model.setQuiet()
        model.fit({**options, "epoch": n}, str(folder / "model.out"))
        return model

    def answer(model):
        model.setTest(str(folder / "test.txt"))
        model.predict(str(folder / "model.out"), str(folder / "scores.txt"))
        return {"score": np.loadtxt(folder / "scores.txt")}

    return train, answer


train, answer = {
    "cornac MF": cornac_mf,
    "cornac BPR": cornac_bpr,
    "Surprise SVD": surprise_svd,
    "implicit BPR": implicit_bpr,
    "implicit ALS": implicit_als,
    "irspack IALS": irspack_als,
    "myFM": myfm,
    "xLearn FM": xlearn_fm,
}[settings["name"]]()
train(1)
began = time.perf_counter()
model = train(epochs)
seconds = time.perf_counter() - began
if settings.get("answer"):
    np.savez(folder / "out.npz", **answer(model))
(folder / "out.json").write_text(json.dumps({"seconds": seconds}))
