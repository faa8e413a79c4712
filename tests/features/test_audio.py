"""Spectrograms against a Fourier transform written out, and every fault of a file."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from twofold import persistence
from twofold.data.columns import Number, Text
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.features import audio
from twofold.features.audio import LogMel
from twofold.features.decoding import LOUDEST
from twofold.loading import FEATURE_CLASSES

librosa = pytest.importorskip("librosa")
soundfile = pytest.importorskip("soundfile")
SMALL = LogMel(sample_rate=8000, bands=20, window=256, hop=128, min_seconds=0.5)


def tone(hertz=440.0, seconds=1.0, rate=8000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def write(path, samples, rate=8000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def written_out(samples, mel):
    """Centred frames, a periodic Hann window, |DFT|^2, mel filters, log(1 + C m); float64."""
    half = mel.window // 2
    padded = np.pad(samples.astype(np.float64), half)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(mel.window) / mel.window)
    starts = range(0, len(samples) + 1, mel.hop)
    frames = np.array([padded[s : s + mel.window] * hann for s in starts])
    k = np.arange(half + 1)[:, None] * np.arange(mel.window)
    power = np.abs(frames @ np.exp(-2j * np.pi * k / mel.window).T) ** 2
    filters = librosa.filters.mel(
        sr=mel.sample_rate, n_fft=mel.window, n_mels=mel.bands, dtype=np.float64
    )
    return np.log(1 + mel.scale * power @ filters.T)


def test_a_spectrogram_is_its_formula():
    samples = np.random.default_rng(0).normal(0, 0.1, 3000).astype(np.float32)
    found = SMALL.of_samples(samples)
    assert found.dtype == np.float32
    assert found.shape == (1 + 3000 // 128, 20)
    np.testing.assert_allclose(found, written_out(samples, SMALL), rtol=1e-4, atol=1e-4)


def test_less_than_one_frame():
    assert SMALL.of_samples(np.ones(5, np.float32)).shape == (3, 20)


def test_a_tone_lights_up_its_band(tmp_path):
    centres = librosa.mel_frequencies(n_mels=22, fmin=0, fmax=4000)[1:-1]
    for hertz in (500.0, 1500.0, 3000.0):
        path = write(tmp_path / "tone.wav", tone(hertz))
        loudest = int(SMALL.spectrogram(path).mean(axis=0).argmax())
        assert abs(loudest - int(np.abs(centres - hertz).argmin())) <= 1


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100, 48000])
def test_any_rate_and_stereo_give_the_same_sound(tmp_path, rate):
    reference = SMALL.spectrogram(write(tmp_path / "mono.wav", tone()))
    both = np.column_stack([tone(rate=rate), tone(rate=rate)])
    found = SMALL.spectrogram(write(tmp_path / "stereo.flac", both, rate))
    assert found.shape == reference.shape
    inner = slice(4, -4)
    loud = reference[inner].mean(axis=0) > 1
    np.testing.assert_allclose(
        found[inner].mean(axis=0)[loud], reference[inner].mean(axis=0)[loud], atol=0.15
    )


def test_channels_are_averaged(tmp_path):
    both = np.column_stack([tone(), -tone()])
    with pytest.raises(DataError, match="is silent"):
        SMALL.samples(write(tmp_path / "a.wav", both))


def faulty(folder):
    (folder / "corrupt.ogg").write_bytes(b"OggS" + b"\0" * 200)
    (folder / "text.wav").write_text("no sound")
    (folder / "empty.wav").write_bytes(b"")
    write(folder / "silent.wav", np.zeros(8000))
    write(folder / "short.wav", tone(seconds=0.2))
    bad = tone()
    bad[7] = np.nan
    write(folder / "nan.wav", bad, subtype="FLOAT")
    write(folder / "huge.wav", tone() * np.float32(1e30), subtype="FLOAT")
    soundfile.write(folder / "slow.wav", tone(), 1)
    (folder / "folder.wav").mkdir()
    return {
        "missing.wav": "is missing: there is no file",
        "folder.wav": "is a folder",
        "corrupt.ogg": "cannot be decoded",
        "text.wav": "cannot be decoded",
        "empty.wav": "cannot be decoded",
        "silent.wav": "is silent",
        "short.wav": "is too short: it lasts 0.20 s, at least 0.5 s",
        "nan.wav": "NaN or infinite",
        "huge.wav": "samples as large as",
        "slow.wav": "has the sampling rate 1 Hz; allowed: 1,000 to 1,000,000",
    }


@pytest.mark.parametrize("cached", [False, True])
def test_faults_are_refused_by_name_or_skipped_and_counted(tmp_path, cached):
    cache = tmp_path / "cache" if cached else None
    faults = faulty(tmp_path)
    write(tmp_path / "good.wav", tone())
    for name, why in faults.items():
        with pytest.raises(
            DataError,
            match=f"{name}' .*{why}.*on_error='skip' .on the command line --set on_error=skip",
        ):
            SMALL.spectrograms([name], folder=tmp_path, cache=cache)
    column = Text(pl.Series([*faults, None, "good.wav"]), is_path=True)
    found = SMALL.spectrograms(column, on_error="skip", folder=tmp_path, cache=cache)
    assert [name for name, _ in found.skipped] == list(faults)
    for (_, said), why in zip(found.skipped, faults.values(), strict=True):
        assert why in said
    assert (found.n, found.n_missing, found.rows.tolist()) == (
        len(faults) + 2,
        1,
        [len(faults) + 1],
    )
    assert len(found) == 1
    with pytest.raises(DataError, match=r"none of 1 sounds can be used; the first: .*missing"):
        SMALL.spectrograms(["missing.wav"], on_error="skip", folder=tmp_path)


def test_what_is_no_sound_is_refused():
    with pytest.raises(DataError, match="got a number column"):
        SMALL.spectrograms(Number(np.zeros(1, np.float32)))
    with pytest.raises(DataError, match=r"single path 'a.wav'"):
        SMALL.spectrograms("a.wav")
    with pytest.raises(ConfigError, match="on_error got 'ignore'; allowed: refuse, skip"):
        SMALL.spectrograms([], on_error="ignore")
    with pytest.raises(ConfigError, match=r"LogMel reads 0 ... 9000 Hz; allowed is .* 4000"):
        LogMel(sample_rate=8000, high=9000)
    with pytest.raises(ConfigError, match=r"max_seconds got 2, .* min_seconds \(3\)"):
        LogMel(max_seconds=2)
    assert LogMel(min_seconds=2, max_seconds=2).max_seconds == 2
    with pytest.raises(ConfigError, match=r"no frequency in 0 ... 3 Hz: .* 15.625 Hz apart"):
        LogMel(sample_rate=8000, window=512, high=3).of_samples(np.zeros(4000, np.float32))
    with pytest.warns(DataWarning, match=r"of 128 bands of LogMel hold no frequency"):
        LogMel(sample_rate=8000, window=128, bands=128).of_samples(np.zeros(4000, np.float32))
    with pytest.raises(ConfigError, match=r"LogMel.bands got 0"):
        LogMel(bands=0)


def test_the_cache_keeps_content_and_settings_apart(tmp_path):
    cache = tmp_path / "cache"
    path = write(tmp_path / "a.wav", tone())
    first = SMALL.spectrogram(path, cache)
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, SMALL.spectrogram(path))
    (entry,) = cache.iterdir()
    stamp = entry.stat().st_mtime_ns
    again = SMALL.spectrogram(write(tmp_path / "renamed.wav", tone()), cache)
    np.testing.assert_array_equal(first, again)
    assert [entry.stat().st_mtime_ns] == [one.stat().st_mtime_ns for one in cache.iterdir()]
    assert entry.stat().st_mtime_ns == stamp
    write(path, tone(880.0))
    assert not np.array_equal(SMALL.spectrogram(path, cache), first)
    LogMel(sample_rate=8000, bands=21, window=256, hop=128, min_seconds=0.5).spectrogram(
        path, cache
    )
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize("damage", [lambda raw: raw[:-100], lambda raw: b"", lambda raw: raw[:60]])
def test_a_damaged_entry_is_made_again(tmp_path, damage):
    path, cache = write(tmp_path / "a.wav", tone()), tmp_path / "cache"
    SMALL.spectrogram(path, cache)
    (entry,) = cache.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    SMALL.spectrogram(path, cache)
    assert entry.read_bytes() == whole


def test_a_cache_that_cannot_be_written(tmp_path):
    path = write(tmp_path / "a.wav", tone())
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot write .* choose another cache"):
        SMALL.spectrogram(path, tmp_path / "file" / "cache")


@given(
    frames=st.integers(1, 60),
    seconds=st.sampled_from([0.05, 0.1, 0.3]),
    n=st.integers(0, 9),
    seed=st.integers(0, 99),
)
@settings(max_examples=50)
def test_windows_are_cut_from_the_sound(frames, seconds, n, seed):
    sound = np.arange(frames * 2, dtype=np.float32).reshape(frames, 2)
    length = SMALL.frames_in(seconds)
    if frames < length:
        with pytest.raises(DataError, match=f"{frames} frames is shorter than a window"):
            SMALL.windows(sound, seconds)
        return
    whole = SMALL.windows(sound, seconds)
    assert np.shares_memory(whole, sound)
    assert len(whole) == frames // length
    np.testing.assert_array_equal(whole.reshape(-1, 2), sound[: len(whole) * length])
    drawn = SMALL.windows(sound, seconds, n=n, rng=seed)
    assert drawn.shape == (n, length, 2)
    for one in drawn:
        start = int(one[0, 0]) // 2
        np.testing.assert_array_equal(one, sound[start : start + length])
    np.testing.assert_array_equal(drawn, SMALL.windows(sound, seconds, n=n, rng=seed))


def test_every_start_is_drawn():
    sound = np.arange(8, dtype=np.float32)[:, None]
    drawn = SMALL.windows(sound, 6 * 128 / 8000, n=200, rng=0)
    assert set(drawn[:, 0, 0].tolist()) == {0, 1, 2}


def test_the_paper_s_window_is_three_seconds():
    assert LogMel().frames_in(3) == 129


def test_only_the_first_seconds_are_read(tmp_path):
    path = write(tmp_path / "a.wav", tone(seconds=2))
    first = LogMel(**{**persistence.values(SMALL), "max_seconds": 1.0}).samples(path)
    assert len(first) == 8000


def test_saved_settings_are_the_same(tmp_path):
    persistence.save(SMALL, tmp_path / "mel", "code")
    assert persistence.load(tmp_path / "mel", "code", FEATURE_CLASSES) == SMALL


@pytest.mark.data
def test_real_recordings(tmp_path):
    folder = Path(os.environ.get("TWOFOLD_DATA", "")) / "audio-clips"
    if not os.environ.get("TWOFOLD_DATA") or not folder.is_dir():
        pytest.skip("TWOFOLD_DATA has no audio-clips")
    names = sorted(path.name for path in folder.glob("*.ogg"))
    mel = LogMel(max_seconds=10)
    found = mel.spectrograms(names, folder=folder, cache=tmp_path)
    assert len(found) == len(names) == 6
    for one in found.spectrograms:
        assert np.isfinite(one).all()
        assert one.std() > 0.1
        assert mel.windows(one).shape[1:] == (129, 128)


def test_a_spectrogram_is_the_same_bytes_for_every_number_of_threads():
    sound = np.random.default_rng(0).normal(size=5 * 22_050).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            found.append(LogMel().of_samples(sound).tobytes())
    assert len(set(found)) == 1


def test_windows_of_no_length_or_number_are_refused():
    found = np.zeros((200, 128), np.float32)
    for bad in ({"seconds": 0.0}, {"seconds": -1.0}, {"n": -1}):
        with pytest.raises(ConfigError, match="seconds > 0 and n >= 0"):
            LogMel().windows(found, **bad)


def test_what_is_no_path_is_said_as_it_was_given():
    with pytest.raises(DataError, match=r"sound 'file:///x\.wav' is an address; give the path"):
        SMALL.spectrograms(["file:///x.wav"])
    with pytest.raises(DataError, match=r"sound 'http://x/y\.wav' is an address"):
        SMALL.samples("http://x/y.wav")


def test_an_empty_path_is_missing(tmp_path):
    write(tmp_path / "a.wav", tone())
    found = SMALL.spectrograms(["", " ", None, "a.wav"], folder=tmp_path)
    assert (found.n_missing, found.rows.tolist()) == (3, [3])


@pytest.mark.parametrize("n", [0, 5, 255, 256, 257, 3000, 9001])
@pytest.mark.parametrize("extra", [{}, {"window": 301, "hop": 77}, {"hop": 700}])
def test_samples_in_blocks_give_the_spectrogram_of_all(n, extra, monkeypatch):
    mel = LogMel(**{**persistence.values(SMALL), **extra})
    samples = np.random.default_rng(n).normal(0, 0.1, n).astype(np.float32)
    whole = mel.of_samples(samples)
    assert len(whole) == 1 + max(0, max(n, mel.window) - mel.window % 2) // mel.hop
    monkeypatch.setattr("twofold.features.decoding.CELLS", 700)
    parts = list(mel.blocks_of(np.split(samples, range(0, n, 100))))
    assert len(parts) > 1 or len(whole) < 6
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_a_file_in_blocks_is_resampled_as_a_whole_one(tmp_path, rate, monkeypatch):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * rate + 13)
    path = write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole, _ = soundfile.read(path, dtype="float32")
    if rate != 8000:
        whole = librosa.resample(whole, orig_sr=rate, target_sr=8000, res_type="soxr_hq")
    monkeypatch.setattr("twofold.features.decoding.BLOCK", 1000)
    found = SMALL.samples(path)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_averages_are_those_of_the_spectrogram(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 90_000), 11025)
    whole = SMALL.spectrogram(path).astype(np.float64)
    wanted = np.concatenate([whole.mean(axis=0), whole.std(axis=0)])
    monkeypatch.setattr("twofold.features.decoding.CELLS", 2000)
    np.testing.assert_allclose(SMALL.average(path), wanted, rtol=1e-9)


def test_a_long_sound_is_averaged_in_little_memory(tmp_path):
    """The spectrograms of all sounds were held: 1.5 GB for an hour."""
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 8000 * 60)
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(40):
            file.write(noise)
    tracemalloc.start()
    SMALL.average(path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 38e6
    assert used < 60e6, f"{used:,} bytes; the samples alone are 77 MB"


def test_a_file_is_decoded_once_until_it_changes(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone())
    os.utime(path, ns=(10**18, 10**18))
    decoded, calls = audio.decoded, []
    monkeypatch.setattr(audio, "decoded", lambda *given: calls.append(given) or decoded(*given))
    first = SMALL.average(path)
    np.testing.assert_array_equal(SMALL.average(path), first)
    assert len(calls) == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1.0
    LogMel(**{**persistence.values(SMALL), "scale": 1.0}).average(path)
    assert len(calls) == 2
    write(path, tone(880.0))
    for _ in range(2):  # young: it may change again before its time does
        assert not np.allclose(SMALL.average(path), first)
    assert len(calls) == 4
    os.utime(path, ns=(10**18 + 1, 10**18 + 1))
    for _ in range(3):
        assert not np.allclose(SMALL.average(path), first)
    assert len(calls) == 5


@pytest.mark.parametrize(
    "bad",
    [
        {"sample_rate": 1}, {"sample_rate": 10**9}, {"scale": 1e300}, {"scale": 1e-300}, {"bands": 10**9}, {"window": 10**9},
        {"hop": 10**9}, {"min_seconds": 1e300}, {"max_seconds": 1e300}, {"silence": 2},
    ],
)  # fmt: skip
def test_settings_that_no_sound_bears_are_refused(bad):
    """A rate of 1 or a billion never came back, and a scale of 1e300 ended in NaN."""
    ((name, value),) = bad.items()
    with pytest.raises(
        ConfigError, match=rf"LogMel\.{name} got .*: input should be (less|greater) than or equal"
    ) as told:
        LogMel(**bad)
    assert str(value) in str(told.value)


@pytest.mark.parametrize("loud", [1e-3, LOUDEST])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("window", [16, 65_536])
def test_settings_at_their_bounds_give_finite_numbers(loud, scale, window):
    mel = LogMel(sample_rate=8000, bands=3, window=window, hop=window, scale=scale)
    made = mel.of_samples((loud * tone(1000, 10.0)).astype(np.float32))
    assert np.isfinite(made).all()
    assert made.max() > 0
