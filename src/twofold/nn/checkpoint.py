"""Checkpoints: ``checkpoint.json`` and the safetensors file that it names; nothing in them is executed.

The tensors are written first, under a name of their own; the JSON then replaces the old one in one rename. A crash at any
moment leaves the last whole checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from twofold.errors import DataError, IncompatibleFileError

if TYPE_CHECKING:
    from twofold.nn.loop import History

INDEX = "checkpoint.json"
FORMAT = 1


def write_checkpoint(
    folder: Path, identity: Mapping[str, Any], history: History, tensors: Mapping[str, Tensor]
) -> None:
    """Write the state after an epoch into `folder`, in place of an older one.

    Raises
    ------
    DataError
        If it cannot be written; the older checkpoint is then still there.
    """
    name = f"epoch-{len(history.losses):06d}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{name}.tmp"
        save_file({key: one.cpu().clone().contiguous() for key, one in tensors.items()}, draft)
        commit(draft, folder / name)
        body = {
            "format": FORMAT,
            "run": identity,
            "history": dataclasses.asdict(history),
            "tensors": name,
            "sha256": sha256(folder / name),
        }
        draft = folder / f".{INDEX}.tmp"
        draft.write_text(json.dumps(body, indent=1))
        commit(draft, folder / INDEX)
        for old in folder.glob("epoch-*.safetensors"):
            if old.name != name:
                old.unlink()
    except OSError as error:
        raise DataError(
            f"cannot write the checkpoint {folder}: {error.strerror}; choose another folder"
        ) from error


def read_checkpoint(
    folder: Path, identity: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Return the history and the tensors of the run `identity`, or None if there is no checkpoint.

    Raises
    ------
    IncompatibleFileError
        If the folder is damaged, or holds another run; says what differs.
    """
    if not (folder / INDEX).is_file():
        return None
    try:
        body = json.loads((folder / INDEX).read_text())
        version, run, file = body["format"], body["run"], folder / Path(body["tensors"]).name
        history, seal = body["history"], body["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise IncompatibleFileError(
            f"{folder / INDEX} is damaged; delete {folder} to start anew"
        ) from error
    if version != FORMAT:
        raise IncompatibleFileError(f"{folder} has format {version}, this twofold reads {FORMAT}")
    asked = json.loads(json.dumps(identity))
    differing = sorted(key for key in asked.keys() | run.keys() if asked.get(key) != run.get(key))
    if differing:
        raise IncompatibleFileError(
            f"{folder} holds another run (different: {', '.join(differing)}); give the same data, settings "
            "and rng to continue it, or delete the folder to start anew"
        )
    if not file.is_file() or sha256(file) != seal:
        raise IncompatibleFileError(f"{file} is missing or damaged; delete {folder} to start anew")
    return history, load_file(file)


def commit(draft: Path, path: Path) -> None:
    """Put `draft` in the place of `path` once its bytes are on the disk."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)


def sha256(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
