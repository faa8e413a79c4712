"""Items that come by PUT: each is read by itself, and what is passed over is told."""

import json
import logging
import wave
from shutil import copyfile

import numpy as np
import polars as pl
import pytest
from tests_of_serving import Process, items_of

import twofold as tw
from twofold.data.music import generated_music
from twofold.serve.schemas import LONGEST_NOTE
from twofold.testing import planted_log

TITLES, KINDS = ("dragon fire", "moon love", "red car"), {"title": "text", "lang": "category", "minutes": "number"}  # fmt: skip
WHOLE = {"title": "dragon", "lang": "ja", "minutes": 30}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A saved model of titles, languages and minutes."""
    pytest.importorskip("sklearn", reason="the extra learn is not installed")
    rng = np.random.default_rng(0)
    names = [f"i{one}" for one in range(24)]
    items = {
        "item": names,
        "title": [TITLES[one % 3] for one in range(24)],
        "lang": [("ja", "en")[one % 2] for one in range(24)],
        "minutes": [60.0 + one for one in range(24)],
    }
    log = {"user": [f"u{one % 12}" for one in range(240)], "item": [names[one] for one in rng.integers(0, 24, 240)]}  # fmt: skip
    data = tw.Dataset.from_frames(log, user="user", item="item", items=items, item_features=KINDS)
    base = {"model": "IALS", "factors": 4, "epochs": 3}
    model = tw.models.DeepContent(factorization=base, network={"kind": "linear"}).fit(data, rng=0)
    return model.save(tmp_path_factory.mktemp("films") / "m")


def scores(client, *items):
    """Return the scores of items for somebody."""
    body = {"user": "u1", "k": 30, "exclude_seen": False, "allow": list(items)}
    listed = client.post("/recommend", json=body).json()["items"]
    return {one["item"]: one["score"] for one in listed}


def put(client, item, **features):
    return client.put(f"/items/{item}", json={"features": {**WHOLE, **features}})


WRONG = {
    "title": [["a", "b"], 5, True],
    "lang": [["ja"], 5, False],
    "minutes": ["thirty", ["30"]],
}


def test_a_wrong_value_is_refused_alike_first_and_again_and_names_nobody_else(served, films):
    """Told again it was read beside the items of others: a list became the level "['ja']", and their rows were named."""
    client = served(films)
    assert put(client, "l1").status_code == put(client, "l2", title="moon").status_code == 200
    before = scores(client, "l1", "l2")
    for name, values in WRONG.items():
        for value in values:
            first, again = (put(client, item, **{name: value}) for item in ("fresh", "l2"))
            assert first.status_code == again.status_code == 422, (name, value)
            assert first.json()["error"] == again.json()["error"]
            assert f"'{name}'" in first.json()["error"]["message"]
            assert "row" not in first.text
    assert scores(client, "l1", "l2", "fresh") == before


def test_values_written_in_several_ways_are_read_by_themselves_before_and_after_a_restart(
    served, films
):
    """The numbers of one item said how those of another are read, so that its score changed with what was told beside it."""
    client = served(films)
    told = {"a": "1,234", "b": "61,5", "c": 70, "d": "70", "e": None}
    alone = {}
    for item, minutes in told.items():
        assert put(client, item, minutes=minutes).status_code == 200
        alone[item] = scores(client, item)[item]
    assert alone["c"] == alone["d"]
    assert len(set(alone.values())) == 4
    assert scores(client, *told) == pytest.approx(alone, rel=1e-6)
    assert put(client, "c", minutes=70).status_code == 200
    assert scores(client, *told) == pytest.approx(alone, rel=1e-6)
    client.__exit__(None, None, None)
    again = served(None)
    assert scores(again, *told) == pytest.approx(alone, rel=1e-6)


def heard_of_growth(open_server):
    """Return what `open_server` returns, and what the log says of added items meanwhile."""
    said, logger = [], logging.getLogger("twofold.serve.growth")
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(handler)
    try:
        return open_server(), said
    finally:
        logger.removeHandler(handler)


def test_a_value_that_cannot_be_read_any_more_is_missing_and_logged(served, films):
    """The whole item was dropped."""
    client = served(films)
    for item in ("l1", "l2"):
        assert put(client, item).status_code == 200
    store, now = served.live.store, served.live.now()
    store.put_item(
        "old", {**WHOLE, "title": ["a"]}, now, withdrawn=False
    ).result()  # as versions before took it
    client.__exit__(None, None, None)
    again, said = heard_of_growth(lambda: served(None))
    assert said == [
        "version 1: feature 'title' of training is missing in item 'old', which was told with it in another kind "
        "(feature 'title' holds a text; got a list: give one text, or null where nothing is known): PUT what is known of it"
    ]
    assert sorted(scores(again, "l1", "l2", "old")) == ["l1", "l2", "old"]
    assert put(again, "blank", title=None).status_code == 200
    assert scores(again, "old")["old"] == pytest.approx(scores(again, "blank")["blank"])


def test_added_items_stay_where_a_version_has_other_columns_or_kinds(served, films, tmp_path):
    """One new column dropped every added item at a promotion, and said to take a model that reads content."""
    client = served(films)
    for item in ("l1", "l2", "l3"):
        assert put(client, item).status_code == 200
    log = tw.load(films).memory.log()
    table = log.frame("items").with_columns(author=pl.lit("ann"), lang=pl.lit(7.5))
    kinds = {
        "title": "text",
        "lang": "number",
        "author": "category",
    }  # another kind, a new one, and one less
    frame = log.frame("interactions")
    data = tw.Dataset.from_frames(frame, user="user", item="item", items=table, item_features=kinds)
    base = {"model": "IALS", "factors": 4, "epochs": 3}
    tw.models.DeepContent(factorization=base, network={"kind": "linear"}).fit(data, rng=0).save(tmp_path / "second")  # fmt: skip
    client.post("/models", json={"path": str(tmp_path / "second")})
    refused = client.post("/models/2/promote", json={}).json()["error"]["message"]
    assert "that were added" not in refused
    done, logged = heard_of_growth(lambda: client.post("/models/2/promote", json={"force": True}).json())  # fmt: skip
    lang, author = done["notes"]
    assert lang.startswith("feature 'lang' of training is missing in 3 items, such as 'l1', that were told with it in another kind")  # fmt: skip
    assert author == "feature 'author' of training is missing in 3 items, such as 'l1', that were told without it: PUT what is known of it"  # fmt: skip
    assert logged[:2] == [f"version 2: {one}" for one in (lang, author)]
    assert sorted(scores(client, "l1", "l2", "l3")) == ["l1", "l2", "l3"]
    assert client.put("/items/l4", json={"features": WHOLE}).status_code == 422, (
        "a caller brings all"
    )
    client.__exit__(None, None, None)
    assert sorted(scores(served(None), "l1", "l2", "l3")) == ["l1", "l2", "l3"]


def test_a_column_that_training_did_not_have_is_noted(served, films):
    client = served(films)
    for item in ("fresh", "i0"):
        (colour,) = put(client, item, title=TITLES[0], minutes=60, colour="red").json()["notes"]
        assert (
            colour
            == "the model does not read the item feature 'colour' and passes over what is said there"
        )
    (typo,) = put(client, "other", tilte="x").json()["notes"]
    assert typo.endswith("did you mean 'title'?")
    assert "notes" not in put(client, "plain").json()


def test_an_item_of_training_keeps_what_was_learned_and_says_so(served, films):
    """Other features were answered as if they were taken, and wrong ones too."""
    client = served(films)
    before = scores(client, "i0")
    made = put(client, "i0", title="moon love").json()
    assert (made["known"], made["source"]) == (True, "model")
    (note,) = made["notes"]
    assert note.startswith("the model learned item 'i0' in training and keeps that until the next training")  # fmt: skip
    assert scores(client, "i0") == before
    same = put(client, "i0", title=TITLES[0], lang="ja", minutes=60)
    assert "notes" not in same.json(), "it says what training had"
    assert "notes" not in client.put("/items/i0", json={}).json(), "nothing is said of it"
    for name, values in WRONG.items():
        assert put(client, "i0", **{name: values[0]}).status_code == 422
    assert client.put("/items/i0", json={"features": {"title": "x"}}).status_code == 422


def test_nothing_is_like_an_item_of_which_nothing_is_known(served, tmp_path):
    """The first items of the catalogue were listed, with a likeness of 0."""
    tw.models.ItemKNN(content=("title",)).fit(planted_log(), rng=0).save(tmp_path / "m")
    client = served(tmp_path / "m")
    told = {"features": {"title": "qqqq", "tags": []}}
    (note,) = client.put("/items/z1", json=told).json()["notes"]
    assert note.endswith("give it words that training had")
    found = client.get("/items/z1/similar?k=3").json()
    assert found["items"] == []
    (note,) = found["notes"]
    assert note.startswith("nothing is known of 'z1' that others could be like")
    page = client.post("/page/data/alike", json={"item": "z1", "k": 3})
    assert "that others could be like" in page.text
    assert len(items_of(client.get("/items/i1/similar?k=3"))) == 3
    assert "notes" not in client.get("/items/i1/similar?k=3").json()


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A saved model of sounds that leaves out what it cannot hear, and the path of one of its songs."""
    pytest.importorskip("librosa", reason="the extra audio is not installed")
    pytest.importorskip("torch", reason="the extra deep is not installed")
    folder = tmp_path_factory.mktemp("songs")
    (folder / "music").mkdir()
    log = generated_music(folder / "music", n_users=20, n_songs=12, plays=5, seconds=2.0, rng=0)
    deep = tw.models.DeepContent(
        factorization={"model": "IALS", "factors": 2},
        network={"kind": "cnn", "channels": (4,), "pools": (4,), "hidden": (4,), "seconds": 1.0},
        sound={"sample_rate": 8000, "window": 256, "hop": 256, "bands": 24, "min_seconds": 1.0},
        epochs=1,
        on_error="skip",
    )
    deep.fit(log, rng=0).save(folder / "deep")
    return folder / "deep", folder / "music", log.items.features["sound"].values[0]


def unheard(folder):
    """Write sounds that cannot be used; return their paths, and what is to be said of each."""
    silent, short, broken = (folder / f"{one}.wav" for one in ("silent", "short", "broken"))
    for path, frames in ((silent, 16_000), (short, 800)):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            samples = (
                np.zeros(frames)
                if path == silent
                else np.random.default_rng(0).normal(0, 5000, frames)
            )
            file.writeframes(samples.astype("<i2").tobytes())
    broken.write_bytes(b"RIFF")
    gone = folder / f"{'x' * 100}.wav"
    return {silent: "silent", short: "short", broken: "broken.wav", gone: "is missing"}


def test_why_a_sound_cannot_be_heard_is_in_the_answer(served, songs, recwarn):
    """The reason stood on the standard error of the server, and the answer asked for words."""
    model, folder, path = songs
    client = served(model)
    for number, (odd, why) in enumerate(unheard(folder).items()):
        made = client.put(f"/items/n{number}", json={"features": {"sound": str(odd)}})
        reason, nothing = made.json()["notes"]
        assert reason.startswith("the sound was left out: ")
        assert why in reason
        assert len(reason) <= LONGEST_NOTE
        assert nothing.startswith(f"nothing is known of item 'n{number}'")
        assert nothing.endswith("give it a sound that can be heard")
    assert "notes" not in client.put("/items/fine", json={"features": {"sound": path}}).json()
    assert not recwarn.list


def test_the_log_of_a_server_is_json_alone(songs, tmp_path):
    """Warnings, also those of a restart, were lines of plain text in it."""
    model, folder, path = songs
    gone = folder / "gone.wav"
    copyfile(path, gone)
    for again in (False, True):
        server = Process(tmp_path / "state", model, "--timeout", "120")
        try:
            server.until_ready()
            for item, sound in () if again else (("a", gone), ("b", folder / "never.wav")):
                told = {"features": {"sound": str(sound)}}
                status, _ = server.ask("PUT", f"/items/{item}", told, timeout=120)
                assert status == 200
        finally:
            server.end()
        gone.unlink(missing_ok=True)
        lines = [json.loads(one) for one in server.log.read_text().splitlines()]
        left = [one["message"] for one in lines if "left out" in one["message"]]
        assert len(left) == again, lines
