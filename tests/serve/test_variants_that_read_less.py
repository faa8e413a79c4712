"""An experiment between models that do not read the same: nobody is refused what the live version answers."""

import pytest
from tests_of_serving import items_of

import twofold as tw
from twofold.serve.tables import EXPOSURES
from twofold.testing import planted_log

TOML = """
[experiments.words.variants]
control = {}
new = { model = "IALS" }
[experiments.page]
layer = "page"
[experiments.page.variants]
control = {}
big = {}
"""


@pytest.fixture
def reads_words(served, models, tmp_path):
    """A server of a model that reads words, under an experiment with one that does not."""
    pytest.importorskip("torch", reason="the extra deep is not installed")
    dense = {"kind": "dense", "hidden": (4,)}
    dssm = tw.models.DSSM(encoder=dense, content="title", epochs=1)
    dssm.fit(planted_log(), rng=0).save(tmp_path / "dssm")
    client = served(tmp_path / "dssm")
    client.post("/models", json={"path": str(models / "good")})
    client.__exit__(None, None, None)
    (tmp_path / "exp.toml").write_text(TOML)
    return lambda: served(None, experiment=str(tmp_path / "exp.toml"))


def test_the_live_version_answers_what_a_variant_cannot_read(reads_words, served, caplog):
    """Who got the variant was refused, and a batch with one of them as a whole."""
    client = reads_words()
    (said,) = [one.getMessage() for one in caplog.records if one.name == "twofold.serve.live" and "variant" in one.getMessage()]  # fmt: skip
    assert said.startswith("experiment 'words': version 2 (IALS) of the variant 'new' does not read words, ")  # fmt: skip
    plain = [{"user": 100 + at, "k": 3} for at in range(30)]
    answers = client.post("/recommend/batch", json={"questions": plain}).json()["answers"]
    variants = [one["experiments"]["words"] for one in answers]
    assert set(variants) == {"control", "new"}
    live = served.live
    live.store.do(lambda connection: None).result()
    before = len(live.store.rows(EXPOSURES))
    for more in ({"words": "a thing"}, {"where": {"tags": "even"}}):
        asked = [{**one, **more} for one in plain]
        answer = client.post("/recommend/batch", json={"questions": asked})
        assert answer.status_code == 200, answer.text
        for variant, one, question in zip(variants, answer.json()["answers"], asked, strict=True):
            assert one["version"] == 1
            assert one["experiments"].get("words") == (None if variant == "new" else "control")
            assert one["experiments"]["page"], "the other experiments go on"
            assert (variant == "new") == ("notes" in one and "does not count in the experiment" in one["notes"][0])  # fmt: skip
            alone = client.post("/recommend", json=question)
            assert items_of(alone) == [each["item"] for each in one["items"]]
    live.store.do(lambda connection: None).result()
    rows = live.store.rows(EXPOSURES)[before:]
    assert {row["variant"] for row in rows if row["experiment"] == "words"} == {"control"}
    wrong = client.post("/recommend", json={"user": 100 + variants.index("new"), "where": {"colour": "red"}})  # fmt: skip
    assert wrong.status_code == 422
    page = client.post("/page/data/recommend", json={"user": 100 + variants.index("new"), "words": "a thing"})  # fmt: skip
    assert page.status_code == 200, page.text
