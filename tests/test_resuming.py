"""Trainings that go on after an interruption."""

import contextlib

import numpy as np
import pytest

import twofold as tw
from twofold.errors import ConfigError, IncompatibleFileError

torch = pytest.importorskip("torch", reason="the extra deep is not installed")
from twofold.nn import loop  # noqa: E402 - needs torch

SMALL = {"encoder": {"kind": "dense", "hidden": (8,)}, "factors": 4, "content": "title"}
NETWORKS = {
    "DSSM": tw.models.DSSM(**SMALL, epochs=4),
    "MultiViewDSSM": tw.models.MultiViewDSSM(view="kind", content="title", hidden=(8,), factors=4, epochs=4),
    "DeepContent": tw.models.DeepContent(factorization=tw.models.BPR(factors=4, epochs=2), content=("title",), epochs=4),
    "YouTubeCandidates": tw.models.YouTubeCandidates(factors=4, epochs=4, patience=9),
    "YouTubeRanker": tw.models.YouTubeRanker(hidden=(4,), epochs=4),
    "GRU4Rec": tw.models.GRU4Rec(epochs=4),
    "SASRec": tw.models.SASRec(epochs=4),
}  # fmt: skip


def log() -> tw.Dataset:
    """Return the planted log, its items of two kinds."""
    planted = tw.testing.planted_log()
    items = planted.frame("items")
    items = items.with_columns(kind=np.where(np.arange(len(items)) % 3, "book", "film"))
    named = {one: one for one in ("user", "item", "value", "time")}
    kinds = {"title": "text", "kind": "category"}
    return tw.Dataset.from_frames(
        planted.frame("interactions"), **named, items=items, item_features=kinds
    )


class Stopped(Exception):
    """Stands for the end of a process."""


@contextlib.contextmanager
def stopped_after(epochs, monkeypatch):
    """End the process when a network has made so many passes, its checkpoint written; count the passes made before."""
    made, write = [], loop.write_checkpoint

    def written(folder, identity, history, tensors):
        write(folder, identity, history, tensors)
        made.append(len(history.losses))
        if len(made) == epochs:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_checkpoint", written)
        yield made


def weights(model):
    return model.item_vectors.tobytes() if hasattr(model.item_vectors, "tobytes") else b""


@pytest.mark.parametrize("name", NETWORKS)
def test_an_interrupted_training_goes_on_to_the_same_bytes(name, tmp_path, monkeypatch):
    data, network = log(), NETWORKS[name]
    whole = network.fit(data, rng=0)
    with stopped_after(2, monkeypatch), pytest.raises(Stopped), tw.checkpoints(tmp_path, every=0):
        network.fit(data, rng=0)
    with stopped_after(99, monkeypatch) as made, tw.checkpoints(tmp_path, every=0):
        resumed = network.fit(data, rng=0)
    assert made[0] == 3
    asked = {"users": [100, 101], "k": 24, "exclude_seen": False}
    assert resumed.recommend(**asked).equals(whole.recommend(**asked))
    assert weights(resumed) == weights(whole)


def test_what_is_trained_to_the_end_is_not_trained_again(tmp_path, monkeypatch):
    data, network = log(), NETWORKS["DSSM"]
    with tw.checkpoints(tmp_path, every=0):
        first = network.fit(data, rng=0)
        with stopped_after(1, monkeypatch) as made:
            again = network.fit(data, rng=0)
    assert made == []
    np.testing.assert_array_equal(first.item_factors, again.item_factors)


@pytest.mark.parametrize("other", ["seed", "settings", "data", "nothing"])
def test_another_training_begins_anew(other, tmp_path):
    data, network = log(), NETWORKS["DSSM"]
    with tw.checkpoints(tmp_path, every=0):
        network.fit(data, rng=0)
        if other == "settings":
            network = tw.models.DSSM(**SMALL, epochs=4, gamma=9)
        if other == "data":
            data = data.part(np.arange(1, len(data.interactions)))
        network.fit(data, rng=int(other == "seed"))
    assert len(list(tmp_path.iterdir())) == (1 if other == "nothing" else 2)


def test_factors_that_are_given_tell_trainings_apart(tmp_path):
    data, network = log(), NETWORKS["DeepContent"]
    bases = [tw.models.BPR(factors=4, epochs=2).fit(data, rng=seed) for seed in (0, 1)]
    with tw.checkpoints(tmp_path, every=0):
        for base in bases:
            network.fit(data, rng=0, factorization=base)
    assert len(list(tmp_path.iterdir())) == 2


def test_short_trainings_leave_nothing(tmp_path):
    with tw.checkpoints(tmp_path):
        NETWORKS["DSSM"].fit(log(), rng=0)
    NETWORKS["DSSM"].fit(log(), rng=0)
    assert list(tmp_path.iterdir()) == []


def test_bad_folders_and_times_are_told(tmp_path):
    for every in (-1, "soon", float("nan"), True):
        with pytest.raises(ConfigError, match="every got"), tw.checkpoints(tmp_path, every=every):
            pass
    for folder in (None, 3, ""):
        with pytest.raises(ConfigError, match="needs a folder"), tw.checkpoints(folder):
            pass
    with tw.checkpoints(tmp_path, every=0):
        NETWORKS["DSSM"].fit(log(), rng=0)
        (folder,) = tmp_path.iterdir()
        next(folder.glob("*.safetensors")).write_bytes(b"")
        with pytest.raises(IncompatibleFileError, match="damaged; delete"):
            NETWORKS["DSSM"].fit(log(), rng=0)
