"""What a saved folder says of itself, read without believing it.

The seal of a manifest tells damage, not malice: anybody can seal a folder anew. So names, sizes,
headers and SHA-256 are compared before an array is opened, and nothing is allocated by what a
manifest or a header claims.
"""

from __future__ import annotations

import hashlib
import json
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from twofold.errors import IncompatibleFileError

FORMAT = 1
"""Number of the folder format; a reader refuses newer ones."""
MANIFEST = "manifest.json"
LARGEST = 64 * 2**20
"""Bytes of a manifest, at most: it holds names and shapes, never data."""
ARRAY_FILE = re.compile(r"\d{4,6}\.npy")
"""How the files of arrays are called."""


class Facts(BaseModel):
    """What the manifest says of one array."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    dtype: str = Field(pattern=r"^[<|][biuf][1248]$")
    shape: list[NonNegativeInt]
    bytes: NonNegativeInt
    sha256: str


class Manifest(BaseModel):
    """A manifest: what the folder holds as a tree, and its arrays by the names of their files."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: int
    kind: str
    twofold: str
    value: dict[str, Any]
    arrays: dict[str, Facts]


def sealed(body: dict[str, Any]) -> bytes:
    """Return the manifest as it is written: JSON, and a last line with its SHA-256."""
    text = json.dumps(body, indent=1).encode()
    return text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path, kind: str) -> Manifest:
    """Read the manifest of a saved folder, and compare it with the files that are there.

    Files whose names begin with a dot are passed over; they are the system's.

    Raises
    ------
    IncompatibleFileError
        If the folder is missing, damaged, of another kind or of another format, or if a file is
        missing, has another size, or was added.
    """
    where = path / MANIFEST
    if not where.is_file():
        seen = "no such folder" if not path.exists() else f"it has no {MANIFEST}"
        if (path / kind / MANIFEST).is_file():
            seen = f"it is a run; name {path / kind}"
        raise IncompatibleFileError(f"{path} is not a saved {kind}: {seen}")
    try:
        if where.stat().st_size > LARGEST:
            raise IncompatibleFileError(f"{where} is larger than any manifest written here")
        raw = where.read_bytes()
    except OSError as error:
        raise IncompatibleFileError(f"cannot read {where}: {error.strerror}") from error
    text, _, seal = raw.rstrip(b"\n").rpartition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != seal:
        raise IncompatibleFileError(
            f"{where} was changed after it was written (checksum differs); save the {kind} again"
        )
    made = _parsed(text, where)
    if made.kind != kind:
        raise IncompatibleFileError(f"{path} holds a {made.kind}, not a {kind}")
    for file, facts in made.arrays.items():
        if not ARRAY_FILE.fullmatch(file):
            raise IncompatibleFileError(f"{where} names the file {file!r}, which is no array's")
        if not (path / file).is_file():
            raise IncompatibleFileError(f"{path / file} is missing; save the {kind} again")
        if (size := (path / file).stat().st_size) != facts.bytes:
            raise IncompatibleFileError(
                f"{path / file} has {size:,} bytes, {facts.bytes:,} were written; "
                f"save the {kind} again"
            )
    if added := _others(path, made):
        raise IncompatibleFileError(
            f"{path} holds {added[0]!r}, which was not written with the {kind}; move it elsewhere"
        )
    return made


def _parsed(text: bytes, where: Path) -> Manifest:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IncompatibleFileError(f"{where} is not JSON: {error}") from error
    found = body.get("format") if isinstance(body, dict) else None
    if isinstance(found, int) and not 1 <= found <= FORMAT:
        raise IncompatibleFileError(
            f"{where.parent} has format {found}, this twofold reads 1 to {FORMAT}; "
            "install the twofold that wrote it, or a newer one"
        )
    try:
        return Manifest.model_validate(body)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"]) or "its content"
        raise IncompatibleFileError(
            f"{where} is not a manifest: {place}: {fault['msg'][0].lower()}{fault['msg'][1:]}"
        ) from error


def _others(path: Path, manifest: Manifest) -> list[str]:
    known = {MANIFEST, *manifest.arrays}
    return sorted(
        one.name for one in path.iterdir() if one.name not in known and one.name[0] != "."
    )


def in_the_way(path: Path, kind: str) -> str:
    """Say why what is at `path` must not be replaced by a saved `kind`; empty where it may be.

    A damaged folder of ours may be replaced, and an empty one.
    """
    if not path.is_dir():
        return "is a file"
    inside = sorted(one.name for one in path.iterdir() if one.name[0] != ".")
    if not inside:
        return ""
    if MANIFEST not in inside:
        return f"is not a saved {kind}"
    other = [one for one in inside if one != MANIFEST and not ARRAY_FILE.fullmatch(one)]
    if other:
        return f"holds {other[0]!r} beside a saved {kind}"
    text = (path / MANIFEST).read_bytes().rstrip(b"\n").rpartition(b"\n")[0]
    try:
        found = _parsed(text, path / MANIFEST).kind
    except IncompatibleFileError:
        return ""
    return "" if found == kind else f"holds a {found}, not a {kind}"


def open_array(path: Path, facts: Facts, kind: str, *, mmap: bool) -> np.ndarray:
    """Open one array after its checksum, and its header against the manifest and the size of the file.

    Raises
    ------
    IncompatibleFileError
        If any of them differs.
    """
    if digest(path) != facts.sha256:
        raise IncompatibleFileError(
            f"{path} was changed after it was written (checksum differs); save the {kind} again"
        )
    try:
        with path.open("rb") as file:
            npy.read_magic(file)
            shape, _, dtype = npy.read_array_header_1_0(file)
            begins = file.tell()
    except ValueError as error:
        raise IncompatibleFileError(f"{path} is not an array: {error}") from error
    size = begins + prod(shape) * dtype.itemsize
    if dtype.str != facts.dtype or list(shape) != facts.shape or size != facts.bytes:
        raise IncompatibleFileError(f"{path} is not the array that its manifest describes")
    # A plain array over the mapping: every slice of a `numpy.memmap` costs ten times as much.
    return np.asarray(
        np.load(path, allow_pickle=False, mmap_mode="r" if mmap and prod(shape) else None)
    )
