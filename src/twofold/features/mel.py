"""Mel bands of a spectrum: librosa's filters, with what is wrong with them told."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from twofold.errors import ConfigError, DataWarning, need


@functools.lru_cache(maxsize=8)
def mel_filters(rate: int, window: int, bands: int, low: float, high: float) -> csr_array:
    """Return the weights of the frequencies of a frame in each band, shape (bands, 1 + window // 2).

    Sparse, because a dense product depends on the number of threads in its last bits.

    Raises
    ------
    ConfigError
        If no frequency lies in the bands.
    """
    librosa: Any = need("librosa", "audio")
    with warnings.catch_warnings():
        # Told below, by the names of the settings.
        warnings.filterwarnings("ignore", "Empty filters")
        found = librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands, fmin=low, fmax=high)
    empty = int(np.count_nonzero(~found.any(axis=1)))
    apart = f"those of a frame are {rate / window:g} Hz apart"
    if empty == bands:
        raise ConfigError(
            f"LogMel has no frequency in {low:g} ... {high:g} Hz: {apart}; raise `high` or `window`"
        )
    if empty:
        warnings.warn(
            f"{empty} of {bands} bands of LogMel hold no frequency and are always 0: {apart}; lower `bands` or raise `window`",
            DataWarning,
            stacklevel=2,
        )
    return csr_array(found)
