"""Sound as log-mel spectrograms and windows of three seconds.

van den Oord, Dieleman & Schrauwen (2013), "Deep content-based music recommendation", NIPS, section 4.2: 128
log-compressed mel bands of sound at 22,050 Hz, frames of 1024 samples every 512, windows of 3 s sampled at random in
training; a whole song is predicted by the average over its consecutive windows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from twofold.data.columns import Column, Text, kind_of
from twofold.errors import ConfigError, DataError, need
from twofold.features.mel import mel_filters
from twofold.features.sound_cache import read_entry, write_entry
from twofold.hyperparameters import hyperparameters, values
from twofold.progress import track
from twofold.random import generator
from twofold.typing import F32, I32, Rng

BLOCK = 1 << 20
"""Samples that are decoded at once."""
LOUDEST = 1e10
"""The largest sample that is read; above it powers leave what 32 bits hold."""
RATES = (1_000, 1_000_000)
"""Sampling rates that are read, Hz; a damaged file may say 1, and would be resampled to 22,050 times its length."""
CACHE_FORMAT = 2
"""Part of every cache key; raised when the same settings give other numbers."""


@hyperparameters
class LogMel:
    """Log-mel spectrograms of audio files: log(1 + scale m) for the power m in each mel band.

    Files of any format that libsndfile reads, any sampling rate and any number of channels (averaged) are
    brought to `sample_rate`. The extra ``audio`` (soundfile, librosa) is imported when a file is read.

    Notes
    -----
    Differs from the paper: it names the compression but not its formula.
    """

    sample_rate: PositiveInt = 22050
    """Samples per second after resampling."""
    bands: PositiveInt = 128
    """Mel bands."""
    window: Annotated[int, Field(ge=16)] = 1024
    """Samples of a frame."""
    hop: PositiveInt = 512
    """Samples between the starts of two frames."""
    low: NonNegativeFloat = 0.0
    """Lowest frequency, Hz."""
    high: PositiveFloat | None = None
    """Highest frequency, Hz; None = half the sampling rate."""
    scale: PositiveFloat = 10_000.0
    """Power is multiplied by this before the logarithm."""
    min_seconds: NonNegativeFloat = 3.0
    """A shorter sound is a fault: it has no whole window."""
    max_seconds: PositiveFloat | None = None
    """Only the first so many seconds of a file are read; None = all."""
    silence: NonNegativeFloat = 1e-4
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
        librosa: Any = need("librosa", "audio")
        samples = np.pad(samples, (0, max(0, self.window - len(samples))))
        spectrum = librosa.stft(
            samples, n_fft=self.window, hop_length=self.hop, pad_mode="constant"
        )
        high = self.sample_rate / 2 if self.high is None else self.high
        filters = mel_filters(self.sample_rate, self.window, self.bands, self.low, high)
        power = filters @ np.abs(spectrum) ** 2  # (bands, frames)
        return np.ascontiguousarray(np.log1p(self.scale * power).T, np.float32)

    def samples(self, path: str | Path) -> F32:
        """Decode a file to mono at `sample_rate`; shape (n,).

        Raises
        ------
        DataError
            If the file is missing, cannot be decoded, has no rate of `RATES`, holds NaN, infinity or samples above
            `LOUDEST`, is silent or too short.
        """
        soundfile: Any = need("soundfile", "audio")
        path = _present(path)
        try:
            with soundfile.SoundFile(path) as file:
                rate = _readable(path, int(file.samplerate))
                limit = -1 if self.max_seconds is None else int(self.max_seconds * rate)
                at_once = max(1, BLOCK // file.channels)
                blocks = file.blocks(at_once, frames=limit, dtype="float32", always_2d=True)
                parts = [block.mean(axis=1, dtype=np.float32) for block in blocks]
        except (soundfile.SoundFileError, OSError) as error:
            raise DataError(
                f"sound {str(path)!r} cannot be decoded; libsndfile says: {error}"
            ) from error
        mono = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        seconds = len(mono) / rate
        if not len(mono) or seconds < self.min_seconds:
            raise DataError(
                f"sound {str(path)!r} is too short: it lasts {seconds:.2f} s, at least "
                f"{self.min_seconds:g} s are needed (min_seconds)"
            )
        if not np.isfinite(mono).all():
            raise DataError(f"sound {str(path)!r} holds samples that are NaN or infinite")
        loudest = np.abs(mono).max()
        if loudest > LOUDEST:
            raise DataError(
                f"sound {str(path)!r} holds samples as large as {loudest:.2g}, where 1 is full scale: it is damaged, or no sound"
            )
        if loudest <= self.silence:
            raise DataError(
                f"sound {str(path)!r} is silent: no sample of the mean of its channels exceeds {self.silence:g} (silence)"
            )
        if rate == self.sample_rate:
            return mono
        librosa: Any = need("librosa", "audio")
        return librosa.resample(
            mono, orig_sr=rate, target_sr=self.sample_rate, res_type="soxr_hq"
        ).astype(np.float32)

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
            return self.of_samples(self.samples(path))
        entry = Path(cache) / f"{self.key(_present(path))}.npy"
        kept = read_entry(entry, self.bands)
        if kept is None:
            write_entry(entry, self.of_samples(self.samples(path)))
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
        if on_error not in ("refuse", "skip"):
            raise ConfigError(f"on_error got {on_error!r}; allowed: refuse, skip")
        paths = paths_of(sounds)
        spectra, rows = list[F32](), list[int]()
        skipped: list[tuple[str, str]] = []
        for row, path in enumerate(track(paths, "spectrograms")):
            if path is None:
                continue
            try:
                made = self.spectrogram(Path(folder) / path, cache)
            except DataError as error:
                if on_error == "refuse":
                    raise DataError(
                        f"{str(error).rstrip('.')}; or set on_error='skip' to leave such sounds out"
                    ) from error
                skipped.append((path, str(error)))
                continue
            spectra.append(made)
            rows.append(row)
        if paths and len(spectra) < least:
            why = f"; the first: {skipped[0][1]}" if skipped else ""
            raise DataError(f"{len(spectra) or 'none'} of {len(paths):,} sounds can be used{why}")
        missing = sum(path is None for path in paths)
        return Sounds(tuple(spectra), np.array(rows, np.int32), len(paths), missing, tuple(skipped))

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


@dataclass(frozen=True, eq=False)
class Sounds:
    """Spectrograms of the sounds that could be read, and what became of the others."""

    spectrograms: tuple[F32, ...]
    """One (frames, bands) array a sound."""
    rows: I32
    """Which rows of the column they belong to, ascending."""
    n: int
    """Rows of the column."""
    n_missing: int
    """Rows that name no file."""
    skipped: tuple[tuple[str, str], ...]
    """Path and reason of every file that was left out."""

    def __len__(self) -> int:
        return len(self.spectrograms)


def paths_of(sounds: Text | pl.Series | Iterable[str | Path | None]) -> list[str | None]:
    """Return paths as strings, None where missing.

    Raises
    ------
    DataError
        If `sounds` is a column of another kind, or a single string.
    """
    if isinstance(sounds, Text) and sounds.is_path:
        sounds = sounds.values
    elif isinstance(sounds, Column):
        raise DataError(f"spectrograms are made of sound columns; got a {kind_of(sounds)} column")
    if isinstance(sounds, str | Path):
        raise DataError(f"sounds must be a list of paths; got the single path {str(sounds)!r}")
    return [None if one is None else str(one) for one in sounds]


def _readable(path: Path, rate: int) -> int:
    """Return the sampling rate of a file, which must be one of `RATES`."""
    low, high = RATES
    if not low <= rate <= high:
        raise DataError(
            f"sound {str(path)!r} has the sampling rate {rate:,} Hz; allowed: {low:,} to {high:,} (is it damaged?)"
        )
    return rate


def _present(path: str | Path) -> Path:
    """Return the path of a file that is there."""
    try:
        there = Path(path).is_file()
    except OSError as error:  # such as a name that is too long
        raise DataError(f"sound {str(path)[:200]!r} cannot be read: {error.strerror}") from error
    if not there:
        raise DataError(f"sound {str(path)!r} is missing: there is no file {Path(path).absolute()}")
    return Path(path)
