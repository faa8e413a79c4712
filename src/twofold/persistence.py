"""Frozen values as folders: ``manifest.json`` and one ``.npy`` file an array.

Nothing in a folder is ever executed: arrays are plain ``.npy`` without objects, and classes are looked
up by name in a list that the loader passes. Everything is checked against the manifest (sizes,
headers, SHA-256) before an array is used. Writing goes to a temporary sibling that is renamed at the
end, so that a full disk or a crash leaves either the old folder or none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold._version import __version__
from twofold.errors import DataError, IncompatibleFileError, did_you_mean
from twofold.hyperparameters import names, values

FORMAT = 1
"""Number of the folder format; a reader refuses newer ones."""
MANIFEST = "manifest.json"


def save(value: object, path: Path, kind: str) -> Path:
    """Write a frozen dataclass as the folder `path`; an existing twofold folder is replaced whole.

    Raises
    ------
    DataError
        If `path` exists and is not a folder written here, or cannot be written.
    """
    path = Path(path)
    foreign = path.exists() and not (path / MANIFEST).is_file()
    if foreign and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path} exists and is not a saved {kind}; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; choose another folder") from error
    try:
        arrays: dict[str, Any] = {}
        tree = _encode(value, draft, arrays, "value")
        body = {
            "format": FORMAT,
            "kind": kind,
            "twofold": __version__,
            "value": tree,
            "arrays": arrays,
        }
        text = json.dumps(body, indent=1)
        seal = hashlib.sha256(text.encode()).hexdigest()
        _write_synced(draft / MANIFEST, (text + f"\n{seal}\n").encode())
        replace_folder(draft, path)
    except OSError as error:
        reason = error.strerror or f"the disk may be full ({error})"
        raise DataError(f"cannot write {path}: {reason}; nothing was changed") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def replace_folder(draft: Path, path: Path) -> None:
    """Put the finished folder `draft` in the place of `path` by renaming."""
    draft.chmod(0o755)
    if not path.exists():
        draft.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    path.rename(aside / "old")
    draft.rename(path)
    shutil.rmtree(aside, ignore_errors=True)


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
    file = f"{len(arrays):04d}.npy"
    path = folder / file
    with path.open("wb") as stream:
        np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    arrays[file] = {
        "name": name,
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "bytes": path.stat().st_size,
        "sha256": _digest(path),
    }
    return file


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    """Undo `series_to_arrays`."""
    if "int64" in arrays:
        return pl.Series(np.asarray(arrays["int64"]), dtype=pl.Int64)
    raw = np.asarray(arrays["utf8"]).tobytes()
    ends = [0, *np.asarray(arrays["ends"]).tolist()]
    parts = [raw[a:b].decode() for a, b in pairwise(ends)]
    series = pl.Series(parts, dtype=pl.String)
    valid = np.asarray(arrays["valid"])
    return series if valid.all() else series.set(pl.Series(~valid), None)


def read_manifest(path: Path, kind: str) -> dict[str, Any]:
    """Read and verify the manifest of a saved folder, and the size of every array in it.

    Raises
    ------
    IncompatibleFileError
        If the folder is missing, damaged, of another kind or of a newer format.
    """
    path = Path(path)
    if not (path / MANIFEST).is_file():
        seen = "no such folder" if not path.exists() else f"it has no {MANIFEST}"
        raise IncompatibleFileError(f"{path} is not a saved {kind}: {seen}")
    raw = (path / MANIFEST).read_bytes()
    text, _, seal = raw.rstrip(b"\n").rpartition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != seal:
        raise IncompatibleFileError(
            f"{path / MANIFEST} was changed after it was written (checksum differs); save the {kind} again"
        )
    body = json.loads(text)
    parts = {"format": int, "kind": str, "arrays": dict, "value": dict}
    if any(not isinstance(body.get(name), needed) for name, needed in parts.items()):
        raise IncompatibleFileError(f"{path / MANIFEST} is not the manifest of a saved {kind}")
    if body["format"] > FORMAT:
        raise IncompatibleFileError(
            f"{path} has format {body['format']}, this twofold reads up to {FORMAT}; install a newer twofold"
        )
    if body["kind"] != kind:
        raise IncompatibleFileError(f"{path} holds a {body['kind']}, not a {kind}")
    for file, facts in body["arrays"].items():
        size = (path / file).stat().st_size if (path / file).is_file() else -1
        if size != facts["bytes"] or Path(file).name != file:
            seen = (
                "is missing" if size < 0 else f"has {size:,} bytes, {facts['bytes']:,} were written"
            )
            raise IncompatibleFileError(f"{path / file} {seen}; save the {kind} again")
    return body


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
    body = read_manifest(path, kind)
    arrays: dict[str, np.ndarray] = {}
    for file, facts in body["arrays"].items():
        if _digest(path / file) != facts["sha256"]:
            raise IncompatibleFileError(
                f"{path / file} was changed after it was written (checksum differs); save the {kind} again"
            )
        empty = 0 in facts["shape"]
        array = np.load(
            path / file, allow_pickle=False, mmap_mode="r" if mmap and not empty else None
        )
        if array.dtype.str != facts["dtype"] or list(array.shape) != facts["shape"]:
            raise IncompatibleFileError(
                f"{path / file} is not the array that its manifest describes"
            )
        arrays[file] = array
    return _decode(body["value"], arrays, classes, path)


def _decode(
    tree: Any, arrays: Mapping[str, np.ndarray], classes: Mapping[str, type], path: Path
) -> Any:
    if not isinstance(tree, dict):
        return tree

    def inner(one: Any) -> Any:
        return _decode(one, arrays, classes, path)

    match tree:
        case {"array": file}:
            if file not in arrays:
                raise IncompatibleFileError(f"{path / MANIFEST} does not list the array {file}")
            return arrays[file]
        case {"csr": parts, "shape": shape}:
            made = {key: inner(part) for key, part in parts.items()}
            return csr_array((made["data"], made["indices"], made["indptr"]), shape=tuple(shape))
        case {"series": parts}:
            return series_from_arrays(inner(parts))
        case {"map": items}:
            return {key: inner(one) for key, one in items.items()}
        case {"tuple": items}:
            return tuple(inner(one) for one in items)
        case {"estimator": name, "values": given}:
            return _class(name, classes, path)(**given)
        case {"class": name, "fields": fields}:
            made_class: Any = _class(name, classes, path)
            expected = names(made_class)
            if sorted(fields) != sorted(expected):
                raise IncompatibleFileError(
                    f"{path}: {name} was saved with {sorted(fields)}, this twofold has {sorted(expected)}"
                )
            return made_class(**{key: inner(one) for key, one in fields.items()})
        case _:
            raise IncompatibleFileError(f"{path}: unreadable entry {sorted(tree)} in {MANIFEST}")


def _class(name: str, classes: Mapping[str, type], path: Path) -> type:
    if name not in classes:
        raise IncompatibleFileError(
            f"{path} names the class {name!r}, which is not known here; {did_you_mean(name, classes)}"
        )
    return classes[name]
