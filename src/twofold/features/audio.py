"""Sound as log-mel spectrograms and windows of three seconds.

van den Oord, Dieleman & Schrauwen (2013), "Deep content-based music recommendation", NIPS, section 4.2: 128
log-compressed mel bands of sound at 22,050 Hz, frames of 1024 samples every 512, windows of 3 s sampled at random in
training; a whole song is predicted by the average over its consecutive windows.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, NonNegativeFloat, PositiveFloat

from twofold.data.columns import Text
from twofold.errors import ConfigError, DataError, need
from twofold.features.decoding import RATES, decoded, pieces
from twofold.features.mel import mel_filters
from twofold.features.sound_cache import read_entry, write_entry
from twofold.features.sounds import Sounds, of_each, present
from twofold.hyperparameters import hyperparameters, values
from twofold.random import generator
from twofold.typing import F32, F64, Rng

CACHE_FORMAT = 2
"""Part of every cache key; raised when the same settings give other numbers."""
LONGEST = 1_000_000.0
"""Seconds, eleven days, that a sound may be asked to last."""
REMEMBERED = 20_000
"""Files whose averages are remembered: 40 MB with 128 bands."""
SETTLED = 2_000_000_000
"""Nanoseconds after which a file that changes has another time; of a younger one nothing is remembered."""


@hyperparameters
class LogMel:
    """Log-mel spectrograms of audio files: log(1 + scale m) for the power m in each mel band.

    Files of any format that libsndfile reads, any sampling rate and any number of channels (averaged) are
    brought to `sample_rate`. The extra ``audio`` (soundfile, librosa) is imported when a file is read.

    Notes
    -----
    Differs from the paper: it names the compression but not its formula.
    """

    sample_rate: Annotated[int, Field(ge=RATES[0], le=RATES[1])] = 22050
    """Samples per second after resampling."""
    bands: Annotated[int, Field(ge=1, le=4096)] = 128
    """Mel bands."""
    window: Annotated[int, Field(ge=16, le=65_536)] = 1024
    """Samples of a frame."""
    hop: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    """Samples between the starts of two frames."""
    low: NonNegativeFloat = 0.0
    """Lowest frequency, Hz."""
    high: PositiveFloat | None = None
    """Highest frequency, Hz; None = half the sampling rate."""
    scale: Annotated[float, Field(ge=1e-6, le=1e6)] = 10_000.0
    """Power is multiplied by this before the logarithm."""
    min_seconds: Annotated[float, Field(ge=0, le=LONGEST)] = 3.0
    """A shorter sound is a fault."""
    max_seconds: Annotated[float, Field(gt=0, le=LONGEST)] | None = None
    """Only the first so many seconds of a file are read; None = all."""
    silence: Annotated[float, Field(ge=0, le=1)] = 1e-4
    """A sound whose largest sample (of 1) does not exceed this is a fault: it is silent."""

    def __post_init__(self) -> None:
        top = self.sample_rate / 2
        if self.low >= (self.high or top) or (self.high or 0) > top:
            raise ConfigError(
                f"LogMel reads {self.low:g} ... {self.high or top:g} Hz; "
                f"allowed is 0 <= low < high <= {top:g}, half of sample_rate"
            )
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            raise ConfigError(
                f"LogMel.max_seconds got {self.max_seconds:g}, and sounds below min_seconds ({self.min_seconds:g}) are refused; "
                "allowed is max_seconds >= min_seconds: raise the one or lower the other"
            )

    def frames_in(self, seconds: float) -> int:
        """Return the number of frames of a window of `seconds`, at least 1."""
        return max(1, round(seconds * self.sample_rate / self.hop))

    def of_samples(self, samples: F32) -> F32:
        """Return the spectrogram of mono samples (n,) at `sample_rate`; shape (1 + n // hop, bands).

        Frame t is centred on sample t * hop; the ends are padded with zeros, and what is shorter than
        one frame is padded to one.

        Raises
        ------
        ConfigError
            If the bands lie between the frequencies of a frame.
        """
        return np.concatenate(list(self.blocks_of([samples])))

    def blocks_of(self, samples: Iterable[F32]) -> Iterator[F32]:
        """Yield the spectrogram of samples that come in blocks (n,), also in blocks, (frames, bands)."""
        librosa: Any = need("librosa", "audio")
        high = self.sample_rate / 2 if self.high is None else self.high
        filters = mel_filters(self.sample_rate, self.window, self.bands, self.low, high)
        for one in pieces(samples, self.window, self.hop):
            spectrum = librosa.stft(one, n_fft=self.window, hop_length=self.hop, center=False)
            power = filters @ np.abs(spectrum) ** 2  # (bands, frames)
            yield np.ascontiguousarray(np.log1p(self.scale * power).T, np.float32)

    def samples(self, path: str | Path) -> F32:
        """Decode a file to mono at `sample_rate`; shape (n,).

        Raises
        ------
        DataError
            If the file is missing, cannot be decoded, has no rate of `RATES`, holds NaN, infinity or samples above
            `LOUDEST`, is silent or too short.
        """
        return np.concatenate(list(decoded(path, self)))

    def spectrogram(self, path: str | Path, cache: str | Path | None = None) -> F32:
        """Return the spectrogram of a file; shape (frames, bands), float32, finite, >= 0.

        Parameters
        ----------
        path
            The audio file.
        cache
            A folder that keeps spectrograms by the content of the file and these settings; what comes
            from there is mapped from disk, read-only. A damaged entry is made again.

        Raises
        ------
        DataError
            As `samples`, or if the cache cannot be written.
        """
        if cache is None:
            return np.concatenate(list(self.blocks_of(decoded(path, self))))
        entry = Path(cache) / f"{self.key(present(path))}.npy"
        kept = read_entry(entry, self.bands)
        if kept is None:
            write_entry(entry, self.spectrogram(path))
            kept = read_entry(entry, self.bands)
        if kept is None:
            raise DataError(f"cannot read {entry} after writing it; choose another cache folder")
        return kept

    def key(self, path: str | Path) -> str:
        """Return the name of a cache entry: a hash of the bytes of the file and of the settings.

        Raises
        ------
        DataError
            If the file cannot be read.
        """
        try:
            with Path(path).open("rb") as file:
                made = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise DataError(f"sound {str(path)!r} cannot be read: {error.strerror}") from error
        made.update(json.dumps([CACHE_FORMAT, values(self)], sort_keys=True).encode())
        return made.hexdigest()

    def spectrograms(
        self,
        sounds: Text | pl.Series | Iterable[str | Path | None],
        *,
        on_error: Literal["refuse", "skip"] = "refuse",
        cache: str | Path | None = None,
        folder: str | Path = ".",
        least: int = 1,
    ) -> Sounds:
        """Return the spectrograms of a sound column or of paths.

        Parameters
        ----------
        sounds
            A sound column, or paths; missing ones (null) have no spectrogram and are counted.
        on_error
            What a missing, corrupt, silent or too short file does: ``refuse`` raises, ``skip`` leaves it
            out and names it in ``Sounds.skipped``.
        cache
            See `spectrogram`. Without one all spectrograms are held in memory.
        folder
            Relative paths start here.
        least
            Sounds that must be left, where there are rows at all.

        Raises
        ------
        DataError
            For the first faulty file, if `on_error` is ``refuse``; if `sounds` is a column of another
            kind, or fewer than `least` sounds are left.
        """
        found = of_each(
            sounds,
            lambda path: self.spectrogram(path, cache),
            on_error=on_error,
            folder=folder,
            least=least,
        )
        return Sounds(tuple(found.made), found.rows, found.n, found.n_missing, found.skipped)

    def average(self, path: str | Path) -> F64:
        """Return the mean over time of every band of a file, then the spreads; shape (2 * bands,), read-only.

        The spectrogram is never held whole, and what was made of a file is remembered as long as the program runs and the
        file stays as it is.

        Raises
        ------
        DataError
            As `samples`.
        """
        try:
            about = present(path).stat()
        except OSError as error:
            raise DataError(f"sound {str(path)!r} cannot be read: {error.strerror}") from error
        if time.time_ns() - about.st_mtime_ns < SETTLED:
            return averaged(self, str(path))
        stamp = (about.st_dev, about.st_ino, about.st_mtime_ns, about.st_size)
        return _remembered(self, str(path), stamp)

    def windows(
        self, spectrogram: F32, seconds: float = 3.0, *, n: int | None = None, rng: Rng = None
    ) -> F32:
        """Cut windows out of a spectrogram (frames, bands); shape (n, frames_in(seconds), bands).

        Parameters
        ----------
        spectrogram
            Of at least one window.
        seconds
            Length of a window.
        n
            How many, at starts drawn uniformly (training); None = all consecutive ones from the start,
            without the rest at the end (inference; a view, nothing is copied).
        rng
            Draws the starts.

        Raises
        ------
        DataError
            If the sound is shorter than a window.
        ConfigError
            If `seconds` is not above 0, or `n` is below 0.
        """
        if seconds <= 0 or (n is not None and n < 0):
            raise ConfigError(f"windows need seconds > 0 and n >= 0; got {seconds:g} and n={n}")
        length, frames = self.frames_in(seconds), len(spectrogram)
        if frames < length:
            raise DataError(
                f"a sound of {frames} frames is shorter than a window of {seconds:g} s, {length} frames; "
                f"leave it out (min_seconds), or take shorter windows"
            )
        if n is None:
            whole = frames // length
            return spectrogram[: whole * length].reshape(whole, length, -1)
        starts = generator(rng).integers(0, frames - length + 1, n)
        return spectrogram[starts[:, None] + np.arange(length)]


def averaged(settings: LogMel, path: str) -> F64:
    """Return the mean and the spread over time of every band of a file, (2 bands,), block by block (Chan, Golub & LeVeque 1979)."""
    n, mean, squares = 0, np.zeros(settings.bands), np.zeros(settings.bands)
    for block in settings.blocks_of(decoded(path, settings)):
        m, own = len(block), block.mean(axis=0, dtype=np.float64)
        apart = own - mean
        mean = mean + apart * (m / (n + m))
        squares += ((block - own) ** 2).sum(axis=0) + apart**2 * (n * m / (n + m))
        n += m
    made = np.concatenate([mean, np.sqrt(squares / n)])
    made.setflags(write=False)
    return made


@functools.lru_cache(maxsize=REMEMBERED)
def _remembered(settings: LogMel, path: str, stamp: tuple[int, ...]) -> F64:
    """Return `averaged` of a file that has a `stamp`."""
    del stamp
    return averaged(settings, path)
