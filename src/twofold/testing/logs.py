"""The log that the checks train on, and how they train."""

from __future__ import annotations

import inspect
import json
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.sparse import csr_array

from twofold.data.dataset import Dataset
from twofold.manifest import MANIFEST
from twofold.models._base import FittedModel
from twofold.typing import F32, Rng

COLUMNS = ["user", "rank", "item", "score", "source"]
"""The columns of a list of recommendations."""


class Estimator(Protocol):
    """Hyperparameters with a ``fit``."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedModel:
        """Train."""
        ...


def planted_log(n_users: int = 40, n_items: int = 24, rng: int = 0) -> Dataset:
    """Return a log of two tastes: even users like even items, odd users odd ones.

    Integer user ids from 100, string item ids ``i0`` ...; ratings 1 ... 5, times, a user category,
    item text and tags. Every user has touched between a third and a half of the catalogue.
    """
    random = np.random.default_rng(rng)
    user, item = np.divmod(np.arange(n_users * n_items), n_items)
    same = (user + item) % 2 == 0
    kept = random.random(len(user)) < np.where(same, 0.7, 0.12)
    user, item, same = user[kept], item[kept], same[kept]
    value = np.where(same, random.integers(4, 6, len(user)), random.integers(1, 3, len(user)))
    events = {
        "user": user + 100,
        "item": [f"i{one}" for one in item],
        "value": value.astype(np.float32),
        "time": 1_600_000_000 + random.permutation(len(user)) * 3600,
    }
    people = {"user": np.arange(n_users) + 100, "taste": ["even", "odd"] * (n_users // 2)}
    things = {
        "item": [f"i{one}" for one in range(n_items)],
        "title": [f"{'even' if one % 2 == 0 else 'odd'} thing {one}" for one in range(n_items)],
        "tags": [["even" if one % 2 == 0 else "odd", f"t{one % 5}"] for one in range(n_items)],
    }
    return Dataset.from_frames(
        events,
        user="user",
        item="item",
        value="value",
        time="time",
        users=people,
        items=things,
        user_features={"taste": "category"},
        item_features={"title": "text", "tags": "tags"},
    )


def fitted(estimator: Estimator, data: Dataset | None = None, rng: int = 0) -> FittedModel:
    """Fit, and say in one sentence where ``fit`` cannot be called or returns something else."""
    known = inspect.signature(estimator.fit).parameters
    missing = [name for name in ("validation", "rng") if name not in known]
    assert not missing, f"fit must take {' and '.join(f'{name}=' for name in missing)}"
    model: object = estimator.fit(planted_log() if data is None else data, rng=rng)
    assert isinstance(model, FittedModel), (
        f"fit returned a {type(model).__name__}; it must return a subclass of twofold.FittedModel"
    )
    return model


def dense(vectors: F32 | csr_array) -> np.ndarray:
    """Return vectors as a dense array (n, d)."""
    return vectors if isinstance(vectors, np.ndarray) else vectors.toarray()


def digests(value: FittedModel | Dataset) -> list[tuple[str, str]]:
    """Return the name and SHA-256 of every array of a model or dataset."""
    with tempfile.TemporaryDirectory() as folder:
        path = value.save(Path(folder) / "saved")
        text = (path / MANIFEST).read_text().rstrip("\n").rpartition("\n")[0]
    return [(one["name"], one["sha256"]) for one in json.loads(text)["arrays"].values()]
