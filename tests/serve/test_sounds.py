"""Which files a request may name as sounds, and what becomes of those of items that were told."""

import os
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest

import twofold as tw
from twofold.data.music import generated_music
from twofold.errors import DataWarning, TwofoldError
from twofold.serve.item_table import items_of
from twofold.serve.sounds import checked_sounds

SOUND = {"sample_rate": 8000, "window": 256, "hop": 256, "bands": 24, "min_seconds": 1.0}
CNN = {"kind": "cnn", "channels": (4,), "pools": (4,), "hidden": (4,), "seconds": 1.0}


@pytest.fixture(scope="module", params=["linear", "cnn"])
def music(request, tmp_path_factory):
    """A saved model of sounds that were named alone, one of them gone at the root; and where they lie."""
    pytest.importorskip("librosa", reason="the extra audio is not installed")
    pytest.importorskip("torch", reason="the extra deep is not installed")
    pytest.importorskip("sklearn", reason="the extra learn is not installed")
    folder = tmp_path_factory.mktemp("songs")
    (folder / "music").mkdir()
    songs = generated_music(folder / "music", n_users=20, n_songs=12, plays=5, seconds=2.0, rng=0)
    items = songs.frame("items").to_dict(as_series=False)
    played = songs.items.ids.ids[int(np.argmax(np.bincount(songs.interactions.item)))]
    gone = next(at for at, one in enumerate(items["item"]) if one == played)
    items["sound"] = [Path(one).name for one in items["sound"]]
    items["sound"][gone] = "/missing.wav"
    log = tw.Dataset.from_frames(
        songs.frame(), user="user", item="item", items=items, item_features={"sound": "sound"}
    )
    network = {"kind": "linear"} if request.param == "linear" else CNN
    deep = tw.models.DeepContent(
        factorization={"model": "IALS", "factors": 2}, network=network, sound=SOUND, epochs=1, on_error="skip",
    )  # fmt: skip
    stood = Path.cwd()
    os.chdir(folder / "music")
    try:
        with pytest.warns(DataWarning, match="left out"):
            deep.fit(log, rng=0).save(folder / "deep")
    finally:
        os.chdir(stood)
    return folder / "deep", folder / "music", items["sound"][gone - 1]


def put(client, sound, item="new"):
    """Tell an item with a sound; return the status and what was said, without the path."""
    found = client.put(f"/items/{item}", json={"features": {"sound": sound}})
    error = found.json().get("error", {})
    return found.status_code, str(error).replace(str(sound), "..."), found.json().get("notes")


def test_no_file_outside_the_folders_of_training_is_opened(served, music, tmp_path, monkeypatch):
    """A sound that was named alone, and one that was left out at the root, let a request open every file."""
    model, folder, name = music
    (tmp_path / "there.wav").write_bytes(b"secret")
    copyfile(folder / name, tmp_path / "sound.wav")
    (folder / "led.wav").unlink(missing_ok=True)
    (folder / "led.wav").symlink_to(tmp_path / "sound.wav")
    (tmp_path / "link").symlink_to(folder)
    for stand in (Path("/"), tmp_path):
        monkeypatch.chdir(stand)
        client = served(model)
        outside = [
            "/etc/passwd", str(tmp_path / "there.wav"), str(tmp_path / "gone.wav"), str(tmp_path / "sound.wav"),
            f"{folder}/../../{tmp_path.name}/sound.wav", f"{folder}/led.wav", "etc/passwd", "there.wav", "sound.wav",
            f"{tmp_path}/link/{name}", "/missing.wav", str(folder), f"{folder}x/a.wav",
        ]  # fmt: skip
        said = {put(client, one) for one in outside}
        ((status, error, _),) = said
        assert status == 422
        assert "lies in no folder of the catalogue's sounds" in error
        assert "libsndfile" not in error
        status, _, notes = put(client, str(folder / name))
        assert (status, notes) == (200, None)


def test_of_a_path_outside_nothing_is_looked_up(music, monkeypatch):
    model, folder, _ = music
    loaded, asked = tw.load(model), []
    checked_sounds([loaded], {"sound": str(folder / "a.wav")})
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path, **more: asked.append(path) or real(path, **more))  # fmt: skip
    for one in ("/root/x/../a.wav", f"/root/link/../..{folder}/../a.wav"):
        with pytest.raises(TwofoldError, match="lies in no folder"):
            checked_sounds([loaded], {"sound": one})
    assert not asked
    # What is written with a way round is taken as it reads, whatever lies on the way.
    found = checked_sounds([loaded], {"sound": f"/root/link/../..{folder}/a.wav"})
    assert found == {"sound": str(folder / "a.wav")}
    assert asked == [found["sound"]]


def test_a_model_that_does_not_say_which_sounds_it_read_has_the_catalogue_s_folders(music):
    model, folder, name = music
    loaded = tw.load(model)
    if loaded.code is None:
        old = replace(loaded, network=replace(loaded.network, folders=None))
    else:
        codes = tuple(replace(one, folders=None) for one in loaded.code.codes)
        old = replace(loaded, code=replace(loaded.code, codes=codes))
    for one in ("/etc/passwd", name, str(folder / name)):  # the root, and the paths of names alone
        with pytest.raises(TwofoldError, match="lies in no folder"):
            checked_sounds([old], {"sound": one})


def test_an_empty_path_is_a_missing_sound(served, music):
    model, *_ = music
    client = served(model)
    for one in ("", "  ", None):
        status, _, notes = put(client, one, f"i{one}")
        assert status == 200
        assert any("nothing is known of item" in note for note in notes)
        assert not any("left out" in note for note in notes)


def test_a_sound_that_was_told_from_here_is_there_after_a_start_elsewhere(
    served, music, tmp_path, monkeypatch
):
    """The path was kept as it was told: the item disappeared at a start from another directory."""
    model, folder, name = music
    monkeypatch.chdir(folder)
    client = served(model)
    assert put(client, f"./{name}") == (200, "{}", None)
    assert "notes" not in client.get("/models").json()
    monkeypatch.chdir(tmp_path)
    client = served(model)
    assert client.get("/items/new/similar").json()["items"]
    assert "notes" not in client.get("/models").json()
    items, said = items_of(served.live)
    assert items.features["sound"].values.to_list() == [str(folder / name)]
    assert not said


@pytest.fixture
def strict(music, tmp_path):
    """A saved model that refuses sounds which cannot be heard, and the sounds beside it."""
    _, folder, _ = music
    names = [f"song{one:04d}" for one in range(12)]
    paths = [str(folder / f"{one}.wav") for one in names]
    log = tw.Dataset.from_frames(
        {"user": [1 + at % 3 for at in range(12)], "item": names}, user="user", item="item",
        items={"item": names, "sound": paths}, item_features={"sound": "sound"},
    )  # fmt: skip
    base = {"model": "IALS", "factors": 2}
    deep = tw.models.DeepContent(factorization=base, network={"kind": "linear"}, sound=SOUND)
    return deep.fit(log, rng=0).save(tmp_path / "strict"), folder, paths[0]


def test_items_whose_sounds_are_gone_are_noted_beside_the_versions(served, strict):
    """Only a line of the log said so."""
    model, folder, path = strict
    client, gone = served(model), folder / "gone.wav"
    copyfile(path, gone)
    for item in ("lost", "kept"):
        assert put(client, str(gone) if item == "lost" else path, item)[0] == 200
    gone.unlink()
    client = served(model)
    (note,) = client.get("/models").json()["notes"]
    assert "on_error" not in note
    assert f"sound &#39;{gone}&#39; is missing" in client.get("/page/data/versions").text
    assert note.startswith(f"item 'lost' is left out: feature 'sound': sound '{gone}' is missing")
    assert client.get("/items/lost/similar").status_code == 404
    assert client.get("/items/kept/similar").status_code == 200
    assert put(client, path, "other")[0] == 200
    assert client.get("/models").json()["notes"] == [note]
    client.delete("/items/other")
    assert client.get("/models").json()["notes"] == [note]
    assert put(client, path, "lost")[0] == 200
    assert "notes" not in client.get("/models").json()


def test_the_hint_about_a_sound_is_for_who_sends_it(served, strict):
    """A client was advised to set on_error, which is said in training."""
    model, folder, _ = strict
    client = served(model)
    (folder / "deeper.wav").mkdir(exist_ok=True)
    for path in (folder / "gone.wav", folder / "deeper.wav"):
        error = client.put("/items/new", json={"features": {"sound": str(path)}}).json()["error"]
        assert ("is a folder" if path.is_dir() else "is missing") in error["message"]
        assert "on_error" not in str(error)
        assert error["hint"].startswith("give the path of a sound file that can be heard, or null")
