"""Frozen values as folders: ``manifest.json`` and one ``.npy`` file an array.

Nothing in a folder is ever executed: arrays are plain ``.npy`` without objects, and classes are looked
up by name in a list that the loader passes. Nothing in it is believed either: `twofold.manifest`
checks the files, here the types of all fields are checked before a class is made, and `Verified`
classes check that their arrays belong together. Writing goes to a temporary sibling that is renamed
at the end, so that a full disk or a crash leaves either the old folder or none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    Literal,
    Protocol,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold._version import __version__
from twofold.drafts import folder_draft, reason_of, replace_folder
from twofold.errors import DataError, IncompatibleFileError, did_you_mean
from twofold.hyperparameters import names, values
from twofold.manifest import FORMAT, MANIFEST, digest, in_the_way, open_array, read_manifest, sealed

__all__ = [
    "MANIFEST",
    "Verified",
    "load",
    "read_manifest",
    "save",
]


@runtime_checkable
class Verified(Protocol):
    """A class that knows what its arrays must be like."""

    def verify(self) -> None:
        """Refuse arrays that do not belong together.

        Raises
        ------
        DataError
            Saying which.
        """
        ...


def save(value: object, path: Path, kind: str) -> Path:
    """Write a frozen dataclass as the folder `path`; an existing folder of the same kind is replaced whole.

    Raises
    ------
    DataError
        If `path` is a file, or a folder with anything but a saved `kind` in it, or cannot be written.
    """
    path = Path(path)
    if path.exists() and (reason := in_the_way(path, kind)):
        raise DataError(f"{path} exists and {reason}; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        drafts = contextlib.ExitStack()
        draft = drafts.enter_context(folder_draft(path))
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {reason_of(error)}; choose another folder"
        ) from error
    try:
        with drafts:
            arrays: dict[str, Any] = {}
            tree = _encode(value, draft, arrays, "value")
            body = {
                "format": FORMAT,
                "kind": kind,
                "twofold": __version__,
                "value": tree,
                "arrays": arrays,
            }
            _write_synced(draft / MANIFEST, sealed(body))
            replace_folder(draft, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {reason_of(error)}; nothing was changed") from error
    return path


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _encode(value: Any, folder: Path, arrays: dict[str, Any], name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": _write_array(value, folder, arrays, name)}
    if isinstance(value, csr_array):
        shape: tuple[int, ...] = value.shape or ()
        parts = {"indptr": value.indptr, "indices": value.indices, "data": value.data}
        return {
            "csr": {
                key: _encode(part, folder, arrays, f"{name}.{key}") for key, part in parts.items()
            },
            "shape": [int(one) for one in shape],
        }
    if isinstance(value, pl.Series):
        return {"series": _encode(series_to_arrays(value), folder, arrays, name)}
    if isinstance(value, Mapping):
        return {
            "map": {
                key: _encode(one, folder, arrays, f"{name}.{key}") for key, one in value.items()
            }
        }
    if isinstance(value, tuple):
        return {
            "tuple": [_encode(one, folder, arrays, f"{name}.{i}") for i, one in enumerate(value)]
        }
    if hasattr(value, "fit"):
        return {"estimator": type(value).__name__, "values": values(value)}
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: _encode(getattr(value, field.name), folder, arrays, f"{name}.{field.name}")
            for field in dataclasses.fields(value)
        }
        return {"class": type(value).__name__, "fields": fields}
    raise DataError(f"{name} holds a {type(value).__name__}, which a twofold folder cannot hold")


def _write_array(array: np.ndarray, folder: Path, arrays: dict[str, Any], name: str) -> str:
    """Write an array and return the name of its file; equal arrays share one."""
    file = f"{len(arrays):04d}.npy"
    path = folder / file
    with path.open("wb") as stream:
        np.save(stream, np.asarray(array, order="C"), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    found = digest(path)
    for earlier, facts in arrays.items():
        if facts["sha256"] == found:
            path.unlink()
            return earlier
    arrays[file] = {
        "name": name,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "bytes": path.stat().st_size,
        "sha256": found,
    }
    return file


def series_to_arrays(series: pl.Series) -> dict[str, Any]:
    """Return an Int64 or String series as arrays: values, or UTF-8 bytes with ends and validity."""
    if series.dtype == pl.Int64:
        return {"int64": series.to_numpy()}
    valid = series.is_not_null().to_numpy()
    filled = series.fill_null("")
    ends = np.cumsum(filled.str.len_bytes().to_numpy().astype(np.int64))
    text = np.frombuffer("".join(filled.to_list()).encode(), np.uint8)
    return {"utf8": text, "ends": ends, "valid": valid}


def series_from_arrays(arrays: Mapping[str, Any]) -> pl.Series:
    """Undo `series_to_arrays`.

    Raises
    ------
    ValueError
        If the arrays do not describe a series.
    """
    if "int64" in arrays:
        return pl.Series(np.asarray(arrays["int64"]), dtype=pl.Int64)
    raw, valid = np.asarray(arrays["utf8"]).tobytes(), np.asarray(arrays["valid"])
    ends = np.concatenate([[0], np.asarray(arrays["ends"])])
    if len(valid) != len(ends) - 1 or ends[-1] != len(raw) or (np.diff(ends) < 0).any():
        raise ValueError("the ends of its strings do not ascend to their number of bytes")
    parts = [raw[a:b].decode() for a, b in pairwise(ends.tolist())]
    series = pl.Series(parts, dtype=pl.String)
    return series if valid.all() else series.set(pl.Series(~valid), None)


def load(path: Path, kind: str, classes: Mapping[str, type], *, mmap: bool = True) -> Any:
    """Open a saved folder; the inverse of `save`.

    Parameters
    ----------
    path
        The folder.
    kind
        What it must hold: ``model``, ``dataset``.
    classes
        The classes that may be built, by name; no other name is accepted.
    mmap
        Map arrays from disk instead of reading them.

    Raises
    ------
    IncompatibleFileError
        If anything differs from what was written, or a class is not in `classes`.
    """
    path = Path(path)
    manifest = read_manifest(path, kind)
    arrays = {
        file: open_array(path / file, facts, kind, mmap=mmap)
        for file, facts in manifest.arrays.items()
    }
    try:
        return _decode(manifest.value, arrays, classes)
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise IncompatibleFileError(
            f"{path / MANIFEST} does not describe a {kind} of this twofold: {error}"
        ) from error


def _decode(tree: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type]) -> Any:
    if not isinstance(tree, dict):
        return tree

    def inner(one: Any) -> Any:
        return _decode(one, arrays, classes)

    match tree:
        case {"array": file}:
            return arrays[file]
        case {"csr": parts, "shape": shape}:
            made = {key: inner(part) for key, part in parts.items()}
            rows = csr_array((made["data"], made["indices"], made["indptr"]), shape=tuple(shape))
            rows.check_format(full_check=True)
            return rows
        case {"series": parts}:
            return series_from_arrays(inner(parts))
        case {"map": items}:
            return {key: inner(one) for key, one in items.items()}
        case {"tuple": items}:
            return tuple(inner(one) for one in items)
        case {"estimator": name, "values": given}:
            cls: Any = _class(name, classes)
            if not hasattr(cls, "fit"):
                raise ValueError(f"{name} is not an estimator")
            return cls(**given)
        case {"class": name, "fields": fields}:
            return _make(_class(name, classes), {key: inner(one) for key, one in fields.items()})
        case _:
            raise ValueError(f"unreadable entry {sorted(tree)}")


def _make(cls: Any, fields: dict[str, Any]) -> Any:
    """Make a value of a dataclass after the names and types of its fields were checked.

    A field that is None unless told may be missing: it came after the folder was written.
    """
    later = {field.name for field in dataclasses.fields(cls) if field.default is None}
    if not set(names(cls)) - later <= set(fields) <= set(names(cls)):
        raise ValueError(
            f"{cls.__name__} was saved with {sorted(fields)}, this twofold has {sorted(names(cls))}"
        )
    hints = get_type_hints(cls)
    for name, value in fields.items():
        if not fits(value, hints[name]):
            found = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise ValueError(f"{cls.__name__}.{name} has the wrong type ({found})")
    made = cls(**fields)
    if isinstance(made, Verified):
        made.verify()
    return made


def fits(value: Any, hint: Any) -> bool:
    """Say whether a value has the type that a field is annotated with; unknown annotations fit all."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inside)
    if origin is Literal:
        return value in inside
    if origin is np.ndarray:
        wanted = get_args(inside[1])[0]
        return isinstance(value, np.ndarray) and (wanted is Any or value.dtype == np.dtype(wanted))
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inside[-1] is Ellipsis:
            return all(fits(one, inside[0]) for one in value)
        return len(value) == len(inside) and all(map(fits, value, inside))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(fits(one, inside[1]) for one in value.values())
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)


def _class(name: str, classes: Mapping[str, type]) -> type:
    if name not in classes:
        raise ValueError(
            f"it names the class {name!r}, which is not known here; {did_you_mean(name, classes)}"
        )
    return classes[name]
