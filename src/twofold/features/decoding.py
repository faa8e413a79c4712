"""Sound files as samples, a block at a time: an hour of sound is never held whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twofold.errors import DataError, need
from twofold.features.sounds import present
from twofold.typing import F32

if TYPE_CHECKING:
    from twofold.features.audio import LogMel

BLOCK = 1 << 20
"""Samples that are decoded at once."""
CELLS = 1 << 21
"""Frequencies times frames that are transformed at once."""
LOUDEST = 1e10
"""The largest sample that is read; above it powers leave what 32 bits hold."""
RATES = (1_000, 1_000_000)
"""Sampling rates that are read, Hz; a damaged file may say 1, and would be resampled to 22,050 times its length."""


def decoded(path: str | Path, settings: LogMel) -> Iterator[F32]:
    """Yield the mono samples of a file at the sampling rate of the settings, in blocks (n,).

    Raises
    ------
    DataError
        As `LogMel.samples`; of a silent or short file when it has come to its end.
    """
    soundfile: Any = need("soundfile", "audio")
    path = present(path)
    n, given, loudest = 0, 0, 0.0
    try:
        with soundfile.SoundFile(path) as file:
            rate = readable(path, int(file.samplerate))
            resampled = resampler(rate, settings.sample_rate)
            limit = -1 if settings.max_seconds is None else int(settings.max_seconds * rate)
            at_once = max(1, BLOCK // file.channels)
            for block in file.blocks(at_once, frames=limit, dtype="float32", always_2d=True):
                mono = block.mean(axis=1, dtype=np.float32)
                loudest = max(loudest, checked(path, mono))
                n += len(mono)
                made = mono if resampled is None else resampled.resample_chunk(mono)
                given += len(made)
                yield made
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(
            f"sound {str(path)!r} cannot be decoded; libsndfile says: {error}"
        ) from error
    seconds = n / rate
    if not n or seconds < settings.min_seconds:
        raise DataError(
            f"sound {str(path)!r} is too short: it lasts {seconds:.2f} s, at least "
            f"{settings.min_seconds:g} s are needed (min_seconds)"
        )
    if loudest <= settings.silence:
        raise DataError(
            f"sound {str(path)!r} is silent: no sample of the mean of its channels exceeds {settings.silence:g} (silence)"
        )
    if resampled is not None:
        rest = resampled.resample_chunk(np.zeros(0, np.float32), last=True)
        wanted = int(np.ceil(n * (settings.sample_rate / rate)))  # as librosa.resample has it
        yield np.pad(rest[: wanted - given], (0, max(0, wanted - given - len(rest))))


def resampler(rate: int, wanted: int) -> Any:
    """Return what brings blocks from one sampling rate to another, None where they are the same."""
    if rate == wanted:
        return None
    soxr: Any = need("soxr", "audio")
    return soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="soxr_hq")


def checked(path: Path, mono: F32) -> float:
    """Return the largest sample of a block (n,), 0 without any; they must be finite and not above `LOUDEST`."""
    if not np.isfinite(mono).all():
        raise DataError(f"sound {str(path)!r} holds samples that are NaN or infinite")
    loudest = float(np.abs(mono).max(initial=0.0))
    if loudest > LOUDEST:
        raise DataError(
            f"sound {str(path)!r} holds samples as large as {loudest:.2g}, where 1 is full scale: it is damaged, or no sound"
        )
    return loudest


def readable(path: Path, rate: int) -> int:
    """Return the sampling rate of a file, which must be one of `RATES`."""
    low, high = RATES
    if not low <= rate <= high:
        raise DataError(
            f"sound {str(path)!r} has the sampling rate {rate:,} Hz; allowed: {low:,} to {high:,} (is it damaged?)"
        )
    return rate


def pieces(samples: Iterable[F32], window: int, hop: int) -> Iterator[F32]:
    """Yield pieces of samples that begin and end with a frame, each frame in one piece.

    Frame t is centred on sample t * hop: half a window of zeros is put before the samples and behind, and what is shorter
    than a window is padded to one.
    """
    edge, n, skip = np.zeros(window // 2, np.float32), 0, 0
    most = max(1, CELLS // (1 + window // 2))
    held = edge

    def rest() -> Iterator[F32]:
        yield np.zeros(max(0, window - n), np.float32)
        yield edge

    for block in chain(samples, rest()):
        n += len(block)
        held = np.concatenate([held, block[skip:]])
        skip = max(0, skip - len(block))
        while len(held) >= window:
            frames = min(most, 1 + (len(held) - window) // hop)
            yield held[: (frames - 1) * hop + window]
            skip = max(0, frames * hop - len(held))  # where frames lie apart
            held = held[frames * hop :]
