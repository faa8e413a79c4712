"""Values that training never saw are told, impossible ones refused, and neither costs much."""

import warnings

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.columns import Bag, Category
from twofold.data.entities import joined_levels
from twofold.data.moments import check_moments
from twofold.data.queries import Queries
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.testing import planted_log
from twofold.unseen import CONTEXT, nearby, remarks, sentence, unknown

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]


def log(**columns):
    """A log of 60 events at eight and at twenty, of a kind of shop each."""
    n = 60
    frame = {
        "u": [one % 6 for one in range(n)],
        "i": [f"{'cafe' if one % 2 == 0 else 'bar'}{one % 5}" for one in range(n)],
        "t": [1_700_006_400 + 86_400 * one + 3600 * (8 + 12 * (one % 2)) for one in range(n)],
        "shop": [["books", "films"][one % 2] for one in range(n)],
        **columns,
    }
    kinds = {"shop": "category", **dict.fromkeys(columns, "category")}
    return tw.Dataset.from_frames(frame, user="u", item="i", time="t", context=kinds)


@pytest.fixture(scope="module")
def model():
    data = tw.with_moments(log(), "hour")
    chain = {"method": "als", "epochs": 5}
    return tw.models.FM(factors=2, learner=chain).fit(data, rng=0)


def said(ask):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask()
    return [str(one.message) for one in caught if one.category is DataWarning]


def test_a_typo_is_told_once_with_what_is_known_and_meant(model):
    found = said(lambda: model.recommend(users=[0, 1, 2], context={"shop": ["boks", "boks", None]}))
    assert found == [
        "context column 'shop' got 'boks', 2 times, which the model never learned: it is read as "
        "unknown; known: books, films; did you mean 'books'?"
    ]


def test_an_hour_that_nobody_came_at_is_told_and_one_that_is_none_is_refused(model):
    told = said(lambda: model.recommend(users=[0], context={"hour": [4]}))
    assert len(told) == 1
    assert "'hour' got '4'" in told[0]
    assert "known: 8, 20" in told[0]
    for wrong in (26, -1, "noon", 4.5):
        with pytest.raises(ConfigError, match=r"'hour' got .*, which it can never be; allowed: 0 "):
            model.recommend(users=[0], context={"hour": [wrong]})


def test_what_is_known_or_missing_is_not_told(model):
    asked = {"shop": ["books", None], "hour": [8, None]}
    assert said(lambda: model.recommend(users=[0, 1], context=asked)) == []
    assert model.remarks() == []
    assert model.remarks(context=asked) == []


def test_an_unmet_level_counts_as_nothing(model):
    lists = [
        model.recommend(users=[0], exclude_seen=False, context={"hour": [hour]})
        for hour in (None, 8)
    ]
    with pytest.warns(DataWarning, match="'4'"):
        unmet = model.recommend(users=[0], exclude_seen=False, context={"hour": [4]})
    assert unmet.equals(lists[0])
    assert not unmet.equals(lists[1])


def test_the_warning_points_at_the_line_that_asked(model):
    with pytest.warns(DataWarning) as caught:
        model.recommend(users=[0], context={"shop": ["boks"]})
    assert caught[0].filename == __file__


def test_pairs_are_told_of_too(model):
    pairs = {"user": [0, 1], "item": ["cafe0", "bar1"], "shop": ["boks", "books"]}
    with pytest.warns(DataWarning, match="'boks'"):
        model.predict(pairs)


def test_a_column_that_is_not_read_is_told():
    plain = tw.models.IALS(factors=2, epochs=2).fit(log(), rng=0)
    told = said(lambda: plain.recommend(users=[0], context={"shop": ["books"], "hour": [8]}))
    assert told == [
        "the model does not read the context columns 'shop', 'hour' and passes over what is said there"
    ]


def test_the_hour_of_the_time_is_told_where_nobody_came_at_it():
    embedding = tw.models.ContextEmbedding(factors=2, epochs=1, contexts=("user", "hour"))
    fitted = embedding.fit(log(), rng=0)
    told = said(lambda: fitted.recommend(users=[0], context={"time": ["2026-05-04T04:00"]}))
    assert len(told) == 1
    assert "moment 'hour' got '4'" in told[0]
    with pytest.raises(ConfigError, match="the hour is read from the time"):
        fitted.recommend(users=[0], context={"hour": [8]})


@pytest.mark.parametrize(
    ("name", "known", "wrong", "possible"),
    [
        ("hour", [0, 8, 23], [24, -1, "x"], [9, "09", 9.0]),
        ("hour", ["8", "20"], [24], [0]),  # as `with_moments` has them
        ("hour", [8, 20], [25], [24]),  # an owner's may count from 1
        ("hour_of_week", [0, 167], [168], [5]),
        ("weekday", WEEKDAYS, ["Mo", "monday", 3], ["Sunday"]),
        ("weekday", [0, 4], [7], [6]),
        ("weekday", [1, 5], [8], [7]),
        ("weekend", [0, 1], [2, "yes"], [1]),
        ("weekend", ["weekend", "working day"], [1], ["weekend"]),
    ],
)
def test_a_moment_is_refused_where_it_can_never_be(name, known, wrong, possible):
    levels = Vocabulary.of(known)
    for one in possible:
        check_moments(name, Vocabulary(pl.Series([str(one)])), levels)
    for one in wrong:
        with pytest.raises(
            ConfigError, match=f"'{name}' got '{one}', which it can never be; allowed"
        ):
            check_moments(name, Vocabulary(pl.Series([str(one)])), levels)


@pytest.mark.parametrize(
    ("name", "known"),
    [("hour", ["morning", "evening"]), ("hour", [0, 24]), ("weekday", ["Mo", "Di"]), ("shop", [0])],
)
def test_a_column_of_an_owner_with_such_a_name_may_hold_anything(name, known):
    check_moments(name, Vocabulary.of(["blub"]), Vocabulary.of(known))


def test_many_values_are_counted_and_not_listed():
    rng = np.random.default_rng(0)
    n, levels = 1_000_000, Vocabulary(pl.Series([f"x{one}" for one in range(5000)]))
    column = Category(rng.integers(-1, 5000, n).astype(np.int32), levels)
    known = Vocabulary(pl.Series([f"x{one}" for one in range(4000)]))
    (told,) = unknown(CONTEXT, {"shop": column}, {"shop": known})
    times = int((column.codes >= 4000).sum())
    assert f" and 999 more such values, {times:,} times, which" in told
    assert "(4,000 in all)" in told
    assert len(told) < 600


def test_tags_are_told_level_by_level():
    tags = Bag(
        np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), np.ones(3, np.float32),
        Vocabulary.of(["a", "z"]), is_tags=True,
    )  # fmt: skip
    (told,) = unknown(CONTEXT, {"tags": tags}, {"tags": Vocabulary.of(["a"])})
    assert "got 'z', 2 times" in told


def test_what_is_repeated_is_short_and_can_be_printed():
    evil = "\x1b[31m" + "<b>" * 10_000 + "\n"
    told = sentence(evil[:9], Vocabulary.of([evil]), np.array([1]), Vocabulary.of([evil, "ok"]))
    assert len(told.removeprefix(evil[:9])) < 400
    assert "\x1b" not in told.removeprefix(evil[:9])
    assert "\n" not in told


def test_of_many_known_values_the_nearest_is_found():
    many = Vocabulary(pl.Series([f"{a}{b}{c}" for a in "xyz" for b in "abcde" for c in range(99)]))
    assert nearby("zc-42", many).endswith("did you mean 'zc42'?")
    assert nearby("ZC42", many).endswith("did you mean 'zc42'?")
    assert "did you mean" not in nearby("Ω", many)
    assert nearby("a", Vocabulary.of([])) == "known: none"


def test_a_pipeline_tells_what_none_of_its_parts_learned():
    data = tw.with_moments(log(), "hour")
    fm = {"model": "FM", "factors": 2, "learner": {"method": "als", "epochs": 3}}
    both = tw.Pipeline(candidates=[{"model": "IALS", "factors": 2}, fm], depth=5).fit(data, rng=0)
    told = said(lambda: both.recommend(users=[0], context={"shop": ["boks"]}))
    assert len(told) == 1
    assert "'boks'" in told[0]
    with pytest.raises(ConfigError, match="26"):
        both.recommend(users=[0], context={"hour": [26]})


def test_levels_of_several_models_are_joined_whatever_their_type():
    parts = [
        {"a": Vocabulary.of([1, 2]), "b": Vocabulary.of(["x"])},
        {"a": Vocabulary.of(["2", "y"])},
    ]
    found = joined_levels(parts)
    assert {name: one.ids.to_list() for name, one in found.items()} == {
        "a": ["1", "2", "y"],
        "b": ["x"],
    }
    assert joined_levels([{"a": Vocabulary.of([1])}, {"a": Vocabulary.of([2, 1])}])["a"].is_integer
    assert joined_levels([{"a": None}, {"a": Vocabulary.of([2])}]) == {"a": None}


def test_a_new_item_of_which_nothing_is_known_is_named():
    knn = tw.models.ItemKNN(content=("title",)).fit(planted_log(), rng=0)
    new = {"item": ["n0", "n1", "n2"], "title": ["even", "qqq", ""], "tags": [[], [], []]}
    told = said(lambda: knn.with_items(new))
    assert len(told) == 1
    assert told[0].startswith("nothing is known of 2 new items, such as 'n1'")
    assert said(lambda: knn.with_items({name: column[:1] for name, column in new.items()})) == []
    both = tw.Pipeline.join([knn, tw.models.IALS(factors=2, epochs=1).fit(planted_log(), rng=0)])
    assert said(lambda: both.with_items(new)) == told
    evil = {**new, "item": ["n0", "<b>\x1b" + "x" * 10_000, "n2"]}
    (bounded,) = said(lambda: knn.with_items(evil))
    assert len(bounded) < 400
    assert bounded.isprintable()


def test_questions_without_columns_are_not_looked_at(model):
    assert remarks(model, Queries.known(np.zeros(3, np.int32))) == []


def test_a_new_item_has_an_id_of_the_type_of_the_catalogue():
    log = {"u": [1, 1, 2, 2], "i": [1, 2, 1, 3]}
    items = {"i": [1, 2, 3], "title": ["red", "blue", "red"]}
    data = tw.Dataset.from_frames(
        log, user="u", item="i", items=items, item_features={"title": "text"}
    )
    model = tw.models.CTR(factors=2).fit(data, rng=0)
    with pytest.raises(DataError, match="has integer ids, such as 1; got the new item 'x7'"):
        model.with_items({"item": ["x7"], "title": ["red"]})
    grown = model.with_items({"item": ["7"], "title": ["red"]})
    assert grown.recommend(users=[1], allow=[7])["item"].to_list() == [7]
    with pytest.raises(
        DataError, match="a column 'item', whatever it was called in training; got i, title"
    ):
        model.with_items({"i": [8], "title": ["red"]})


def test_a_history_of_added_items_alone_is_told():
    """It was answered by popularity without a word."""
    model = tw.models.ItemKNN(content=("tags",)).fit(planted_log())
    model = model.with_items({"item": ["x1"], "tags": [["odd"]], "title": ["new one"]})
    with pytest.warns(DataWarning, match="1 history holds only items that were added after training"):  # fmt: skip
        told = model.recommend(histories=[["x1"], ["i1", "x1"]], k=2)
    assert set(told["source"]) == {"fallback:popularity", "fold-in"}


def later(shop, context=("shop",)):
    """The log of a later year, with other shops."""
    frame = log(shop=shop).frame().with_columns(pl.col("time") + 365 * 86_400)
    kinds = dict.fromkeys(context, "category")
    return tw.Dataset.from_frames(frame, user="user", item="item", time="time", context=kinds)


def measured(model, train, test, ask="each event"):
    split = tw.split.from_parts(train, test, repeats="keep")
    found = []
    told = said(lambda: found.append(tw.evaluate(model, split, ["ndcg@5"], ask=ask)))
    return told, found[0].notes


def test_a_column_of_which_a_measured_part_says_mostly_what_was_never_learned_is_told_once(monkeypatch):  # fmt: skip
    """A log whose devices had other names was measured without them, and nothing said so."""
    shops = tw.models.FM(factors=2, learner={"method": "als", "epochs": 2}).fit(log(), rng=0)
    monkeypatch.setattr("twofold.evaluation.questions.BLOCK_USERS", 7)
    names = [["book", "9", "8"][one % 3] for one in range(60)]
    told, notes = measured(shops, log(), later(names))
    assert told == [
        "context column 'shop' of the test part got '8' and 2 more such values, 60 times, which the model never "
        "learned: they are read as unknown; known: books, films"
    ]
    assert notes == tuple(told)
    told, _ = measured(shops, log(), later(names, context=()))
    assert told == [
        "the model reads the context column 'shop', which the test part does not have: its questions are asked "
        "without it; read it with context={'shop': 'category'} (on the command line --context shop=category)"
    ]
    for context in (("shop",), ()):  # nobody is asked with a circumstance
        assert measured(shops, log(), later(names, context), ask="each user") == ([], ())
    plain = tw.models.IALS(factors=2, epochs=2).fit(log(), rng=0)
    assert measured(plain, log(), later(names)) == ([], ())


def test_a_few_new_values_of_a_measured_part_are_not_told(model):
    shop = ["new" if one % 3 == 0 else "books" for one in range(60)]
    parts = [tw.with_moments(one, "hour") for one in (log(), later(shop))]
    assert measured(model, *parts) == ([], ())


def test_features_of_newcomers_that_were_never_learned_are_told_where_they_are_measured():
    def people(first, city):
        frame = {"u": [first + one % 6 for one in range(60)], "i": [one % 7 for one in range(60)]}
        users = {"u": range(first, first + 6), "city": city}
        return tw.Dataset.from_frames(
            frame, user="u", item="i", users=users, user_features={"city": "category"}
        )

    train = people(0, ["Rome", "Oslo"] * 3)
    fm = tw.models.FM(factors=2, learner={"method": "als", "epochs": 2}).fit(train, rng=0)
    for city, n in (("Roma", 1), ("Rome", 0)):
        split = tw.split.from_parts(train, people(100, [city] * 6))
        told = said(lambda split=split: tw.evaluate(fm, split, ["ndcg@5"]))
        assert len(told) == n
    split = tw.split.from_parts(train, people(100, ["Roma"] * 6))
    with pytest.warns(DataWarning, match="user feature 'city' of the test part got 'Roma', 6 times, .* did you mean 'Rome'"):  # fmt: skip
        tw.evaluate(fm, split, ["ndcg@5"])


@pytest.mark.parametrize("wanted", [None, [None], float("nan"), ["odd", None]])
def test_none_is_no_value_to_ask_items_for(wanted):
    """It was answered that no item has 'None'."""
    model = tw.models.IALS(factors=2, epochs=1).fit(planted_log(), rng=0)
    found = []
    told = said(lambda: found.append(model.recommend([0], k=3, where={"tags": wanted})))
    assert told == [
        "where asks for None (null in JSON) in 'tags', which is no value: name one, or several in a list; "
        "known: even, odd, t0, t1, t2, t3, t4"
    ]
    assert len(found[0]) == (3 if wanted == ["odd", None] else 0)
