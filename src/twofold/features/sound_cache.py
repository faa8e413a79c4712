"""Spectrograms kept on disk, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from twofold.drafts import draft_of
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
    """Write a spectrogram whole; several processes may fill one cache.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    with draft_of(path, "choose another cache", shared=True) as draft, draft.open("wb") as file:
        np.save(file, spectrogram, allow_pickle=False)
