"""Saved datasets: whatever happened to a folder is one sentence, and a full disk changes nothing."""

import errno
import hashlib
import json
import shutil

import numpy as np
import pytest

import twofold as tw
from twofold.errors import DataError, IncompatibleFileError


@pytest.fixture
def saved(tmp_path):
    data = tw.Dataset.from_frames({"u": ["a", "b"], "i": [1, 2]}, user="u", item="i")
    return data.save(tmp_path / "saved")


def sealed(folder, **changes):
    """Change the manifest and seal it again, as somebody with intent would."""
    path = folder / "manifest.json"
    body = json.loads(path.read_bytes().rstrip(b"\n").rpartition(b"\n")[0]) | changes
    text = json.dumps({name: one for name, one in body.items() if one is not None})
    path.write_text(f"{text}\n{hashlib.sha256(text.encode()).hexdigest()}\n")


def array(folder):
    return min(folder.glob("*.npy"))


def flipped(path, at):
    raw = bytearray(path.read_bytes())
    raw[at % len(raw)] ^= 1
    path.write_bytes(raw)


DAMAGE = {
    "a byte of an array": (lambda at: flipped(array(at), -1), "checksum differs"),
    "a byte of the manifest": (lambda at: flipped(at / "manifest.json", 40), "checksum differs"),
    "a missing array": (lambda at: array(at).unlink(), "0000.npy is missing"),
    "a cut array": (lambda at: array(at).write_bytes(array(at).read_bytes()[:-1]), "were written"),
    "no manifest": (lambda at: (at / "manifest.json").unlink(), "has no manifest.json"),
    "an empty manifest": (lambda at: (at / "manifest.json").write_bytes(b""), "checksum differs"),
    "a newer format": (lambda at: sealed(at, format=99), "format 99"),
    "a format in words": (lambda at: sealed(at, format="1"), "not a manifest"),
    "no kind": (lambda at: sealed(at, kind=None), "not a manifest"),
    "a model": (lambda at: sealed(at, kind="model"), "holds a model, not a dataset"),
    "no arrays": (lambda at: sealed(at, arrays={}), "was not written with the dataset"),
    "nothing": (lambda at: sealed(at, value={}), "unreadable"),
    "no folder": (shutil.rmtree, "no such folder"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_folder_is_one_sentence(saved, name):
    damage, sentence = DAMAGE[name]
    damage(saved)
    with pytest.raises(IncompatibleFileError, match=sentence) as caught:
        tw.Dataset.load(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("400 requested and 30 written")],
)
def test_a_full_disk_leaves_the_old_folder_and_nothing_else(saved, monkeypatch, error):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    large = tw.Dataset.from_frames({"u": [1, 2, 3], "i": [1, 2, 3]}, user="u", item="i")
    write, written = np.save, []

    def full(file, values, **settings):
        if len(written) == 2:
            raise error
        written.append(1)
        write(file, values, **settings)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match=r"cannot write .*nothing was changed"):
        large.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert len(tw.Dataset.load(saved)) == 2
    written.clear()
    with pytest.raises(DataError, match="nothing was changed"):
        large.save(saved.parent / "new")
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_foreign_folder_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    data = tw.Dataset.from_frames({"u": [1], "i": [1]}, user="u", item="i")
    with pytest.raises(DataError, match="not a saved dataset; choose another name"):
        data.save(tmp_path / "mine")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="choose another folder"):
        data.save(tmp_path / "file" / "below")
