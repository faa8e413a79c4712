"""Check-ins of New York with friendships of two days (lbsn2vec), as files of MATLAB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from twofold.data.dataset import Dataset


def matlab(path: Path, *wanted: str) -> dict[str, Any]:
    """Read the `wanted` variables of a file of MATLAB, or all of them.

    Raises
    ------
    ValueError
        If it is none.
    """
    # A fifth of a second, which other sets shall not wait for.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(path, variable_names=list(wanted) or None)
    except MatReadError as error:
        raise ValueError(str(error)) from error


def lbsn2vec(at: Path) -> Dataset:
    """Read check-ins of New York with friends; hours of the week become times by counting weeks."""
    found = matlab(at / "dataset_connected_NYC.mat")
    rows = np.asarray(found["selected_checkins"], np.int64)
    step = np.diff(rows[:, 1], prepend=rows[0, 1])
    # Hours of the week wrap; rows run in time but for small steps back.
    week = np.cumsum(step < -84) - np.cumsum(step > 84)
    return Dataset.from_frames(
        {
            "user": rows[:, 0],
            "venue": rows[:, 2],
            "time": (week * 168 + rows[:, 1]) * 3600,
            "hour_of_week": rows[:, 1].astype(str),
        },
        user="user",
        item="venue",
        time="time",
        context={"hour_of_week": "category"},
        items=pl.DataFrame({"venue": rows[:, 2], "category": rows[:, 3].astype(str)}).unique(
            "venue", keep="first", maintain_order=True
        ),
        item_features={"category": "category"},
        links=pl.DataFrame(np.asarray(found["friendship_old"], np.int64), schema=["a", "b"]),
    )


def lbsn2vec_later(at: Path) -> pl.DataFrame:
    """Read the friendships of New York after the check-ins; those of before are the dataset's links."""
    found = matlab(at / "dataset_connected_NYC.mat", "friendship_new")
    return pl.DataFrame(np.asarray(found["friendship_new"], np.int64), schema=["a", "b"])
