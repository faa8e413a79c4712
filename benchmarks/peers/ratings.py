"""Surprise and myFM on the folds of ``quality/ratings_ml100k.py``: predictions for the test pairs."""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

folder = Path(sys.argv[1])
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
user, item, value = given["user"], given["item"], given["value"]
test_user, test_item = given["test_user"], given["test_item"]


def surprise(name):
    import pandas as pd
    import surprise
    from surprise import Dataset, Reader

    frame = pd.DataFrame({"user": user, "item": item, "rating": value})
    train = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
    settings = {} if name == "BaselineOnly" else {"random_state": 0}
    model = getattr(surprise, name)(**settings).fit(train)
    pairs = zip(test_user.tolist(), test_item.tolist())
    return np.array([model.predict(u, i).est for u, i in pairs])


def rows(name):
    parts = (given[f"{name}_data"], given[f"{name}_indices"], given[f"{name}_indptr"])
    return csr_matrix(parts, shape=tuple(given[f"{name}_shape"]))


def myfm(ordered):
    from myfm import MyFMOrderedProbit, MyFMRegressor, RelationBlock

    users, items = rows("users"), rows("items")
    kind = MyFMOrderedProbit if ordered else MyFMRegressor
    model = kind(rank=settings["rank"], random_seed=0)
    blocks = [
        RelationBlock(user.astype(np.int64), users),
        RelationBlock(item.astype(np.int64), items),
    ]
    asked = [
        RelationBlock(test_user.astype(np.int64), users),
        RelationBlock(test_item.astype(np.int64), items),
    ]
    model.fit(
        None,
        value.astype(np.int64) - 1 if ordered else value,
        X_rel=blocks,
        n_iter=settings["iterations"],
        n_kept_samples=settings["kept"],
        group_shapes=[int(n) for n in given["group_shapes"]],
    )
    if ordered:
        chance = model.predict_proba(None, X_rel=asked)
        return chance @ np.arange(1, chance.shape[1] + 1)
    return np.clip(model.predict(None, X_rel=asked), 1, 5)


name = settings["name"]
found = myfm(name.endswith("ordered")) if name.startswith("myfm") else surprise(name)
np.savez(folder / "out.npz", predicted=found)
(folder / "out.json").write_text("{}")
