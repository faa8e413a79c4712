"""Generated songs can be read, are the same for the same seed, and carry the tastes."""

from pathlib import Path

import numpy as np
import pytest

import twofold as tw
from twofold.data.music import generated_music, render


def test_the_same_seed_gives_the_same_songs_and_listeners(tmp_path):
    one, two = (generated_music(tmp_path / x, 10, 12, 3, 1.0, rng=3) for x in "ab")
    assert len(one) == 30
    assert len(one.items) == 12
    np.testing.assert_array_equal(one.interactions.item, two.interactions.item)
    for a, b in zip(
        sorted((tmp_path / "a").iterdir()), sorted((tmp_path / "b").iterdir()), strict=True
    ):
        assert Path(a).read_bytes() == Path(b).read_bytes()


def test_a_higher_key_is_a_higher_pitch():
    peaks = []
    for key in (0.0, 0.9):
        sound = render(np.array([0.5, key, 0.0, 0.5]), 2.0, 8000, np.random.default_rng(0))
        peaks.append(np.abs(np.fft.rfft(sound)).argmax() / 2)
    assert peaks[1] / peaks[0] == pytest.approx(2**0.9, rel=0.02)


def test_impossible_sizes_are_refused(tmp_path):
    with pytest.raises(tw.errors.ConfigError, match="plays"):
        generated_music(tmp_path, n_songs=3, plays=4)
