"""Files and folders that take their place whole: written under another name beside it, then renamed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Generator
from pathlib import Path

from twofold import locks
from twofold.errors import DataError

FORSAKEN = 60.0
"""Seconds after which a draft that nobody has locked is one of a process that was killed."""
ANY_DRAFT = re.compile(r"\..+-[a-z0-9_]{8}")
HERE, EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""


def reason_of(error: OSError) -> str:
    """Return what the system said; NumPy's own errors of writing have no ``strerror``."""
    return error.strerror or str(error)


@contextlib.contextmanager
def folder_draft(path: Path) -> Generator[Path]:
    """Give a new folder beside `path`, locked meanwhile and gone at the end; what killed processes left of such is removed."""
    for one in forsaken(path):
        shutil.rmtree(one, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        with _locked(draft):
            yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def forsaken(path: Path) -> list[Path]:
    """Return the drafts of `path` that a killed process left: a minute old, arrays alone, and locked by nobody."""
    name = re.compile(rf"\.{re.escape(path.name)}-[a-z0-9_]{{8}}")
    alike = [one for one in path.parent.iterdir() if name.fullmatch(one.name) and one.is_dir()]
    return [one for one in alike if _is_forsaken(one, FORSAKEN)]


def clear(folder: Path) -> None:
    """Remove the drafts in a folder, whatever their name, that a killed process left: arrays alone, and locked by nobody. Nobody else may be at work there."""
    if not folder.is_dir():
        return
    for one in folder.iterdir():
        alike = ANY_DRAFT.fullmatch(one.name) and one.is_dir() and not one.is_symlink()
        if alike and _is_forsaken(one, 0.0):
            shutil.rmtree(one, ignore_errors=True)


def _is_forsaken(draft: Path, age: float) -> bool:
    with contextlib.suppress(OSError):  # it is gone meanwhile, or somebody else's
        old = time.time() - draft.stat().st_mtime >= age
        if old and all(one.suffix == ".npy" for one in draft.iterdir()):
            with _locked(draft) as mine:
                return mine
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[bool]:
    """Lock a folder; False where another process has it, or where there are no locks and what was left stays."""
    if not locks.THERE:
        yield False
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        yield locks.take(held)
    finally:
        os.close(held)


def replace_folder(draft: Path, path: Path) -> None:
    """Put the finished folder `draft` in the place of `path` by renaming; on failure nothing moves.

    In one step where the system can, so that a process that is killed leaves one of the two at `path`.
    """
    draft.chmod(0o755)
    if not path.exists():
        draft.rename(path)
        return
    if exchanged(draft, path):
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    try:
        path.rename(aside / "old")
        try:
            draft.rename(path)
        except OSError:
            (aside / "old").rename(path)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def exchanged(one: Path, other: Path) -> bool:
    """Let two names change their folders in one step; False where the system or its files cannot."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    return (
        exchange is not None
        and exchange(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0
    )


@contextlib.contextmanager
def draft_of(path: Path, advice: str, *, shared: bool = False) -> Generator[Path]:
    """Give a temporary name beside `path` to write to; what stands there at the end takes its place, whole.

    Where others may write the same file at the same time it is `shared`: each then has a name of its own.

    Raises
    ------
    DataError
        If it cannot be written, ending in the `advice`; what was at `path` is left as it was.
    """
    own = f".{uuid.uuid4().hex}" if shared else ""
    draft = path.with_name(f".{path.name}{own}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        draft.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {reason_of(error)}; {advice}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def write_page(path: str | Path, text: str) -> Path:
    """Write a text file under a temporary name, then rename it.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    path = Path(path)
    with draft_of(path, "choose another place") as draft:
        draft.write_text(text, encoding="utf-8")
    return path
