"""What tells one dataset from another."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold import persistence
from twofold.data.dataset import Dataset


def fingerprint(data: Dataset) -> str:
    """Return the SHA-256 of everything in a dataset except its notes, as hex digits."""
    digest = hashlib.sha256()
    for part in (data.interactions, data.users, data.items, data.links):
        _feed(digest, part)
    return digest.hexdigest()


def digest_of(value: object) -> str:
    """Return the SHA-256 of a dataset, a fitted model or whatever else is made of records and arrays, as hex digits."""
    if isinstance(value, Dataset):
        return fingerprint(value)
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).view(np.uint8))
    elif isinstance(value, pl.Series):
        _feed(digest, persistence.series_to_arrays(value))
    elif isinstance(value, csr_array):
        _feed(digest, (value.data, value.indices, value.indptr, value.shape))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            digest.update(field.name.encode())
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for one in value:
            _feed(digest, one)
    else:
        digest.update(repr(value).encode())
