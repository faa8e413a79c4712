"""Generated songs as sound files, and listeners whose tastes can be heard in them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import polars as pl

from twofold.data.dataset import Dataset
from twofold.errors import ConfigError
from twofold.random import generator
from twofold.typing import F32, F64, Rng

TEMPI = (80.0, 170.0)
"""Beats per minute, lowest and highest."""
CHORD = (0, 4, 7, 12)
"""Semitones above the key that a song plays."""
STRENGTH = 2.0
"""How sharply listeners choose: the factor of the product of taste and song."""


def render(traits: F64, seconds: float, rate: int, random: np.random.Generator) -> F32:
    """Return a song of traits (4,) in 0 ... 1, as samples in -1 ... 1, shape (seconds * rate,).

    The traits are tempo, key (an octave above 220 Hz), timbre (share of the overtones) and rhythm (how
    many off-beats are struck).
    """
    tempo, key, timbre, rhythm = (float(one) for one in traits)
    n = int(seconds * rate)
    half = 30 / (TEMPI[0] + tempo * (TEMPI[1] - TEMPI[0]))
    sound = np.zeros(n)
    for step in range(int(seconds / half) + 1):
        if step % 2 and random.random() > rhythm:
            continue
        start = int(step * half * rate)
        t = np.arange(n - start) / rate
        pitch = 220 * 2 ** (key + int(random.choice(CHORD)) / 12)
        partials = [k for k in range(1, 7) if k * pitch < rate / 2]
        tone = sum((timbre ** (k - 1) * np.sin(2 * np.pi * k * pitch * t) for k in partials), 0 * t)
        sound[start:] += tone * np.exp(-6 * t)
    sound += random.normal(0, 0.01, n)
    return np.asarray(0.9 * sound / np.abs(sound).max(), np.float32)


def generated_music(
    folder: str | Path,
    n_users: int = 200,
    n_songs: int = 200,
    plays: int = 20,
    seconds: float = 4.0,
    sample_rate: int = 8000,
    rng: Rng = 0,
) -> Dataset:
    """Write songs as WAV files into `folder` and return who listened, with the feature ``sound``.

    A listener draws `plays` different songs with weight exp(2 a . x), for a normal taste a and the
    standardized traits x of the songs. Songs that nobody drew stay in the catalogue.

    Raises
    ------
    ConfigError
        If a size is below 1, `plays` exceeds `n_songs`, or a song is shorter than 1 s.
    """
    if min(n_users, plays) < 1 or plays > n_songs or seconds < 1 or sample_rate < 2000:
        raise ConfigError(
            f"generated_music got n_users={n_users}, n_songs={n_songs}, plays={plays}, seconds={seconds:g}, "
            f"sample_rate={sample_rate}; allowed: 1 <= plays <= n_songs, n_users >= 1, seconds >= 1, "
            "sample_rate >= 2000"
        )
    random = generator(rng)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    traits = random.random((n_songs, 4))
    names = [f"song{one:04d}" for one in range(n_songs)]
    paths = [str(folder / f"{name}.wav") for name in names]
    for path, row in zip(paths, traits, strict=True):
        samples = (render(row, seconds, sample_rate, random) * 32767).astype("<i2")
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes(samples.tobytes())
    tastes = random.normal(size=(n_users, 4))
    liking = STRENGTH * tastes @ ((traits - 0.5) * 12**0.5).T
    drawn = np.argsort(-(liking + random.gumbel(size=liking.shape)), axis=1)[:, :plays]
    events = {
        "user": np.repeat(np.arange(n_users), plays),
        "item": [names[one] for one in drawn.ravel()],
    }
    return Dataset.from_frames(
        pl.DataFrame(events),
        user="user",
        item="item",
        items=pl.DataFrame({"item": names, "sound": paths}),
        item_features={"sound": "sound"},
    )
