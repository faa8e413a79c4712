"""Folders that were damaged, forged or cut short: one sentence, and nothing half-written."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import twofold as tw
from twofold import drafts, manifest, persistence
from twofold.errors import DataError, IncompatibleFileError
from twofold.manifest import MANIFEST, sealed
from twofold.testing import planted_log


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two saved models: dense arrays with biases, and sparse rows."""
    folder = tmp_path_factory.mktemp("models")
    tw.models.BiasedMF(factors=2, epochs=2).fit(planted_log(), rng=0).save(folder / "mf")
    tw.models.ItemKNN().fit(planted_log()).save(folder / "knn")
    return folder


@pytest.fixture
def saved(models, tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(models / "mf", tmp_path / "mf"))


def files(path):
    return {one.name: one.read_bytes() for one in path.iterdir()}


def body_of(path):
    return json.loads((path / MANIFEST).read_bytes().rstrip(b"\n").rpartition(b"\n")[0])


def forge(path, change):
    """Change the manifest as somebody would who also seals it anew."""
    body = body_of(path)
    change(body)
    (path / MANIFEST).write_bytes(sealed(body))


def refused(path, match):
    """Loading says one sentence, which names the folder."""
    with pytest.raises(IncompatibleFileError, match=match) as caught:
        tw.load(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said


@pytest.mark.parametrize("part", ["first", "middle", "last"])
def test_one_changed_byte_in_any_file_is_found(saved, part):
    for name, content in files(saved).items():
        at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[part]
        if name == MANIFEST and part == "last":
            at -= 1  # the very last byte is the end of the line
        changed = bytearray(content)
        changed[at] ^= 1
        (saved / name).write_bytes(changed)
        refused(saved, "checksum differs")
        (saved / name).write_bytes(content)
    assert tw.load(saved)


def test_a_truncated_or_missing_file_is_found(saved):
    for name, content in files(saved).items():
        (saved / name).write_bytes(content[:-1] if name != MANIFEST else content[:-9])
        refused(saved, "checksum differs|bytes, .* were written")
        (saved / name).write_bytes(b"")
        refused(saved, "checksum differs|has 0 bytes")
        (saved / name).unlink()
        refused(saved, "is missing|it has no manifest")
        (saved / name).write_bytes(content)
    assert tw.load(saved)


def test_an_added_file_is_found_but_for_the_systems_own(saved):
    (saved / ".DS_Store").write_bytes(b"x")
    assert tw.load(saved)
    (saved / "model.pkl").write_bytes(b"x")
    refused(saved, r"'model\.pkl', which was not written with the model; move it elsewhere")


@pytest.mark.parametrize("number", [0, -1, 2, 99])
def test_another_format_is_refused_by_its_number(saved, number):
    forge(saved, lambda body: body.update(format=number))
    refused(saved, f"has format {number}, this twofold reads 1 to 1")


def estimator(body):
    return body["value"]["fields"]["estimator"]


def array(body, name):
    return next(one for one in body["arrays"].values() if one["name"] == name)


def rename(body, file):
    body["arrays"][file] = body["arrays"].pop("0000.npy")


FORGERIES = {
    "no arrays": (lambda body: body.pop("arrays"), "is not a manifest: arrays: field required"),
    "a text for a format": (lambda body: body.update(format="1"), "format: input should be"),
    "more than there is": (lambda body: body.update(code="x"), "code: extra inputs"),
    "a list": (lambda body: body.update(value=[1]), "value: input should be"),
    "nothing fitted": (lambda body: body.update(value={"a": 1}), "holds no fitted model"),
    "an unknown class": (
        lambda body: body["value"].update({"class": "Popen"}),
        "the class 'Popen', which is not known here; allowed: ",
    ),
    "an unknown estimator": (
        lambda body: estimator(body).update(estimator="Popen"),
        "which is not known here",
    ),
    "a class that cannot be fitted": (
        lambda body: estimator(body).update(estimator="Memory"),
        "which is not known here|Memory is not an estimator",
    ),
    "a wrong hyperparameter": (
        lambda body: estimator(body)["values"].update(factors=-1),
        "BiasedMF.factors got -1",
    ),
    "a missing field": (lambda body: body["value"]["fields"].pop("mean"), "was saved with"),
    "a field of another type": (
        lambda body: body["value"]["fields"].update(mean="3"),
        r"FittedBiasedMF\.mean has the wrong type \(str\)",
    ),
    "an array that is not there": (
        lambda body: body["value"]["fields"].update(user_factors={"array": "0999.npy"}),
        "does not describe a model",
    ),
    "the items' vectors for the users'": (
        lambda body: body["value"]["fields"].update(
            user_factors=body["value"]["fields"]["item_factors"]
        ),
        "user_factors has the shape",
    ),
    "a path out of the folder": (
        lambda body: rename(body, "../../etc/passwd"),
        "names the file '../../etc/passwd', which is no array's",
    ),
    "an absolute path": (lambda body: rename(body, "/etc/passwd"), "which is no array's"),
    "objects": (
        lambda body: array(body, "value.user_factors").update(dtype="|O"),
        "dtype: string should match pattern",
    ),
    "a huge shape": (
        lambda body: array(body, "value.user_factors").update(shape=[10**15, 4]),
        "is not the array that its manifest describes",
    ),
    "a negative shape": (
        lambda body: array(body, "value.user_factors").update(shape=[-1, 4]),
        "greater than or equal to 0",
    ),
    "another type of numbers": (
        lambda body: array(body, "value.user_factors").update(dtype="<f8"),
        "is not the array that its manifest describes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_manifest_is_one_sentence(saved, name):
    change, said = FORGERIES[name]
    forge(saved, change)
    refused(saved, said)


def replace(path, name, content):
    """Put another array in the place of one, with a manifest that knows it."""
    body = body_of(path)
    file, facts = next(one for one in body["arrays"].items() if one[1]["name"] == name)
    with (path / file).open("wb") as stream:
        if isinstance(content, bytes):
            stream.write(content)
        else:
            np.save(stream, content)
            facts.update(dtype=content.dtype.str, shape=list(content.shape))
    facts.update(bytes=(path / file).stat().st_size, sha256=manifest.digest(path / file))
    (path / MANIFEST).write_bytes(sealed(body))


def huge_header():
    """An array file that says it is 8 PB long, and holds nothing."""
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000, 2), }"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("value.user_factors", np.zeros((40, 4)), r"user_factors has the wrong type \(float64\)"),
        ("value.user_factors", np.zeros((39, 4), np.float32), "it must have 40 rows"),
        ("value.item_factors", np.zeros((3, 4), np.float32), "it must have 24 rows"),
        ("value.user_factors", huge_header(), "is not the array that its manifest describes"),
        ("value.user_factors", b"import os", "is not an array"),
        ("value.memory.history.item", np.full(400, 10**9, np.int32), "do not ascend from 0 to 400"),
        ("value.memory.history.indptr", np.zeros(41, np.int64), "histories do not ascend"),
        ("value.memory.popularity", np.zeros(5, np.float32), "of other users or items"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_belong_together_are_refused(saved, name, content, said):
    replace(saved, name, content)
    refused(saved, said)


def test_rows_past_the_catalogue_are_refused(saved):
    item = tw.load(saved).memory.history.item.copy()
    item[3] = 24
    replace(saved, "value.memory.history.item", item)
    refused(saved, r"items of the histories do not lie in 0 \.\.\. 23")


def test_sparse_rows_past_their_width_are_refused(models, tmp_path):
    path = Path(shutil.copytree(models / "knn", tmp_path / "knn"))
    indices = tw.load(path).similarities.indices.copy()
    indices[0] = 10**6
    replace(path, "value.similarities.indices", indices)
    refused(path, "does not describe a model")


def test_a_manifest_that_is_too_large_is_not_read(saved, monkeypatch):
    monkeypatch.setattr(manifest, "LARGEST", 100)
    refused(saved, "larger than any manifest")


def test_deep_and_broken_json_is_one_sentence(saved):
    for text in (b"[" * 100_000, b"{", b"\xff\xfe", b"[]", b"null", b"3"):
        seal = manifest.hashlib.sha256(text).hexdigest().encode()
        (saved / MANIFEST).write_bytes(text + b"\n" + seal + b"\n")
        refused(saved, "is not JSON|is not a manifest")


# ---- writing -------------------------------------------------------------------------------------


def test_what_is_not_a_saved_model_is_never_replaced(saved, tmp_path):
    model = tw.load(saved)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not a saved model; choose another name"):
        model.save(notes)
    (saved / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"holds 'thesis\.txt' beside a saved model"):
        model.save(saved)
    assert (saved / "thesis.txt").exists()
    planted_log().save(tmp_path / "data")
    with pytest.raises(DataError, match="holds a dataset, not a model"):
        model.save(tmp_path / "data")
    with pytest.raises(DataError, match="is a file"):
        model.save(notes / "thesis.txt")
    assert len(tw.Dataset.load(tmp_path / "data")) == len(planted_log())


def test_a_loaded_model_can_be_saved_in_its_own_place(saved):
    before = files(saved)
    model = tw.load(saved)
    model.save(saved)
    assert files(saved) == before
    assert model.recommend(users=[100], k=2).equals(tw.load(saved).recommend(users=[100], k=2))


@pytest.mark.parametrize("place", ["an array", "the manifest", "the last renaming"])
def test_a_full_disk_leaves_what_was_there(saved, monkeypatch, place):
    model, before = tw.load(saved), files(saved)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_):
        raise full

    if place == "an array":
        monkeypatch.setattr(np, "save", lambda *_, **__: fail())
    elif place == "the manifest":
        monkeypatch.setattr(persistence, "_write_synced", fail)
    else:
        rename = Path.rename

        def once(self, target):
            if target == saved and self.name.startswith(".mf-") and "-old-" not in str(self):
                fail()
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", once)
        monkeypatch.setattr(drafts, "exchanged", lambda *_: False)
    with pytest.raises(DataError, match="No space left on device; nothing was changed"):
        model.save(saved)
    assert files(saved) == before
    assert [one.name for one in saved.parent.iterdir()] == ["mf"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges names in one step")
def test_a_model_is_replaced_in_one_step(saved, monkeypatch):
    """Between two renamings a process that is killed would leave no model at all."""
    other = tw.models.Popularity().fit(planted_log(6, 6))

    def refuse(self, target):
        raise AssertionError(f"{self} is renamed to {target}")

    monkeypatch.setattr(Path, "rename", refuse)
    other.save(saved)
    assert len(tw.load(saved).items) == len(other.items)
    assert [one.name for one in saved.parent.iterdir()] == ["mf"]


def test_what_killed_processes_left_is_removed_and_nothing_else(saved):
    fcntl = pytest.importorskip("fcntl")
    folder, long_ago = saved.parent, time.time() - 2 * drafts.FORSAKEN

    def left(name, *files, age=long_ago):
        (folder / name).mkdir()
        for one in files:
            (folder / name / one).write_bytes(b"half")
        os.utime(folder / name, (age, age))
        return folder / name

    gone = [left(".mf-abcdefgh", "0.npy", "1.npy"), left(".mf-a_cde_0h")]
    kept = [
        left(".mf-backup_1", "0.npy", "manifest.json"),
        left(".mf-abcdefg2", "0.npy", age=time.time()),
        left(".mf-abcdefg3", "0.npy"),
        left(".mf-abcdefg4", "notes.txt"),
        left(".other-abcdefgh", "0.npy"),
    ]
    writer = os.open(kept[2], os.O_RDONLY)
    fcntl.flock(writer, fcntl.LOCK_EX)
    tw.load(saved).save(saved)
    os.close(writer)
    assert not any(one.exists() for one in gone)
    assert all(one.exists() for one in kept)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        small = tw.models.Popularity().fit(planted_log(4, 4))
        small.save(disk / "model")
        before = files(disk / "model")
        with pytest.raises(DataError, match=r"cannot write .*nothing was changed"):
            tw.models.BiasedMF(factors=64, epochs=1).fit(planted_log(900, 20)).save(disk / "model")
        assert files(disk / "model") == before
        assert [one.name for one in disk.iterdir()] == ["model"]
        assert tw.load(disk / "model").items.ids.ids.equals(small.items.ids.ids)
        del small
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_who_names_a_run_is_told_where_its_model_is(tmp_path):
    data = tw.testing.planted_log()
    tw.models.Popularity().fit(data).save(tmp_path / "run" / "model")
    with pytest.raises(IncompatibleFileError, match=r"it is a run; name .*run.model"):
        tw.load(tmp_path / "run")
