"""Words in scripts without spaces: what a text is about is found by every reader of words, and told where no word is shared."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.columns import Text
from twofold.data.convert import column_from_values
from twofold.errors import DataError, DataWarning
from twofold.features.text import tokens
from twofold.models.mapping._dssm_text import learn_texts

pytest.importorskip("torch", reason="the extra deep is not installed")

SCRIPTS = {
    "Han": ("足球 比赛 进球 冠军 联赛 球队", "股票 市场 基金 银行 利率 经济"),
    "Thai": ("ฟุตบอล ประตู แชมป์ นักเตะ", "ตลาดหุ้น ธนาคาร ดอกเบี้ย กองทุน"),
}
FACTORS = tw.models.IALS(factors=4)
READERS = {
    "ItemKNN": tw.models.ItemKNN(content=("title",), similarity="bm25"),
    "DeepContent": tw.models.DeepContent(factorization=FACTORS, network={"kind": "linear"}),
    "CTR": tw.models.CTR(factors=4),
    "CDL": tw.models.CDL(factors=4, epochs=20),
    "DSSM": tw.models.DSSM(query="", inputs="words", factors=8),
    "DSSM n-grams": tw.models.DSSM(query="", factors=8),
    "MultiViewDSSM": tw.models.MultiViewDSSM(inputs="words", factors=8, known_by=("words",)),
}


def headlines(words, n, random):
    """Return n titles of words that follow each other without a space, every other one about the second topic."""
    topics = [one.split() for one in words]
    return ["".join(random.permutation(topics[row % 2])[:3]) for row in range(n)]


def log_of(script, n=60):
    random = np.random.default_rng(1)
    titles = headlines(SCRIPTS[script], n, random)
    events = [
        (user, item)
        for user in range(40)
        for item in random.permutation(n)[:20].tolist()
        if item % 2 == user % 2
    ]
    said = headlines(SCRIPTS[script], 40, random)
    return tw.Dataset.from_frames(
        {"user": [one for one, _ in events], "item": [f"i{one}" for _, one in events]},
        user="user", item="item",
        items={"item": [f"i{one}" for one in range(n)], "title": titles},
        users={"user": range(40), "said": said},
        item_features={"title": "text"}, user_features={"said": "text"},
    )  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("name", READERS)
def test_a_new_item_is_for_those_who_like_its_topic(name, script):
    model = READERS[name].fit(log_of(script), rng=0)
    fresh = headlines(SCRIPTS[script], 8, np.random.default_rng(2))
    model = model.with_items({"item": [f"n{one}" for one in range(8)], "title": fresh})
    new = [f"n{one}" for one in range(8)]
    lists = model.recommend(users=list(range(40)), allow=new, k=4)
    right = [int(item[1:]) % 2 == user % 2 for user, item in lists.select("user", "item").rows()]
    assert np.mean(right) > 0.95


def test_searches_in_a_script_without_spaces_are_known():
    model = tw.models.YouTubeCandidates(searches="said", factors=8, epochs=20, watch_dropout=0.5)
    model = model.fit(log_of("Han"), rng=0)
    lists = model.recommend(text=["看足球", "买股票"], k=4)
    topic = [int(item[1:]) % 2 for item in lists["item"]]
    assert topic == [0] * 4 + [1] * 4


@pytest.mark.parametrize("name", ["DSSM", "DSSM n-grams", "MultiViewDSSM", "YouTubeCandidates"])
def test_reasons_are_words_as_the_model_reads_them(name):
    """The score of the text that is left is the score less the contribution."""
    made = {**READERS, "YouTubeCandidates": tw.models.YouTubeCandidates(searches="said", epochs=2)}
    model = made[name].fit(log_of("Han"), rng=0)
    text = "足球比赛 hot"
    why = model.explain(text=text, item="i0")
    whole = name == "DSSM n-grams"
    assert set(why["reason"]) == set(tokens(text, whole=whole))
    for reason, gain, score in why.select("reason", "contribution", "score").rows():
        left = " ".join(one for one in tokens(text, whole=whole) if one != reason)
        rest = float(model.explain(text=left, item="i0")["score"][0])
        assert rest == pytest.approx(score - gain, abs=1e-4)


def test_texts_beside_a_list_of_words_are_read_as_the_list_has_them():
    """A tag that is a run is found by who says it."""
    tags = column_from_values("tags", pl.Series([["科学家"], ["car"]]), "tags")
    said = Text(pl.Series(["科学家", "car"]))
    settings = {"most": 9, "weight": "count", "ordered": False, "longest": None}
    code = learn_texts([tags, said], "'tags'", n=None, **settings)
    assert code.words.words.ids.to_list() == ["car", "科学家"]
    assert code.read(Text(pl.Series(["科学家"]))).known.all()


def test_a_column_whose_texts_share_no_word_is_named():
    """Codes of articles, which are all different, where titles were meant."""
    data = log_of("Han")
    titles = [f"{one:04d}x" for one in range(60)]
    for name, model in READERS.items():
        strange = with_titles(data, titles)
        if name == "DSSM n-grams":  # which letters may overlap
            model.fit(strange, rng=0)
            continue
        with pytest.warns(DataWarning, match="no word of 'title'.* stands in two of its 60 texts"):
            model.fit(strange, rng=0)
    said = tw.models.YouTubeCandidates(searches="said", epochs=1)
    with pytest.warns(DataWarning, match="no word of 'said' stands in two of its 40 texts"):
        said.fit(with_titles(data, titles, [f"{one:04d}y" for one in range(40)]), rng=0)


def with_titles(data, titles, said=None):
    """Return the log with other texts."""
    items, users = data.items.features, data.users.features
    items = {**items, "title": Text(pl.Series(titles, dtype=pl.String))}
    users = users if said is None else {**users, "said": Text(pl.Series(said))}
    return replace(
        data, items=replace(data.items, features=items), users=replace(data.users, features=users)
    )


@pytest.mark.parametrize("name", ["DSSM", "DSSM n-grams", "MultiViewDSSM", "DeepContent"])
def test_a_column_without_a_word_is_named(name):
    empty = with_titles(log_of("Han"), [None, "!"] * 30)
    with pytest.raises(DataError, match=r"no (text|row) of 'title' .*holds a word; .*content="):
        READERS[name].fit(empty, rng=0)


def test_both_columns_without_a_word_are_named():
    empty = with_titles(log_of("Han"), [None] * 60, ["!"] * 40)
    with pytest.raises(
        DataError, match="no text of 'title' of the items and 'said' of the users holds a word"
    ):
        tw.models.DSSM(query="said").fit(empty, rng=0)


def test_vectors_of_another_length_are_named_by_their_column():
    data = tw.Dataset.from_frames(
        {"u": [1, 1, 2, 2], "i": list("abbc")}, user="u", item="i",
        items={"i": list("abc"), "v": [[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]]}, item_features={"v": "vector"},
    )  # fmt: skip
    model = READERS["DeepContent"].fit(data, rng=0)
    with pytest.raises(DataError, match="'v': vectors have 3 numbers; those of training have 2"):
        model.with_items({"item": ["d"], "v": [[1.0, 2.0, 3.0]]})
