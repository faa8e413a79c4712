"""Spectrograms kept on disk, one file each."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from twofold.errors import DataError
from twofold.typing import F32


def read_entry(path: Path, bands: int) -> F32 | None:
    """Map a cached spectrogram from disk; None if there is none, or it is not whole."""
    if not path.is_file():
        return None
    try:
        kept: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return None  # cut short or overwritten: it is made again
    whole = kept.ndim == 2 and kept.shape[1] == bands and kept.dtype == np.float32
    return kept if whole else None


def write_entry(path: Path, spectrogram: F32) -> None:
    """Write a spectrogram to a temporary name and rename it.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".draft-", suffix=".npy", dir=path.parent)
        draft = Path(name)
        with os.fdopen(handle, "wb") as file:
            np.save(file, spectrogram, allow_pickle=False)
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; choose another cache") from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)
