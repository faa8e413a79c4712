"""YouTubeRanker: its features and scores counted by hand, and expected watch times against a known truth."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.data.columns import Category
from twofold.data.queries import Queries
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models._shown import Shown
from twofold.models.mapping import _youtube_impressions as impressions
from twofold.models.mapping import _youtube_inputs as inputs
from twofold.models.mapping import _youtube_layers as layers
from twofold.models.mapping._youtube_impressions import Pairs
from twofold.testing import planted_log

torch = pytest.importorskip("torch")


def shown_log(seed=0, n_events=300, n_users=6, n_items=12, clicks=0.3):
    """Impressions with watch times, 0 without a click; several share a moment."""
    rng = np.random.default_rng(seed)
    clicked = rng.random(n_events) < clicks
    return tw.Dataset.from_frames(
        {
            "u": rng.integers(0, n_users, n_events),
            "i": rng.integers(0, n_items, n_events),
            "seconds": np.where(clicked, rng.exponential(50, n_events) + 1, 0),
            "t": 1_000_000 + 60 * rng.integers(0, 80, n_events),
            "device": rng.choice(["tv", "phone"], n_events),
        },
        user="u",
        item="i",
        value="seconds",
        time="t",
        context={"device": "category"},
        users={"u": range(n_users), "age": range(n_users)},
        user_features={"age": "number"},
        items={"i": range(n_items), "maker": ["a", "b", "c"] * (n_items // 3)},
        item_features={"maker": "category"},
    )


def fitted(**settings):
    """A small ranker of a random log."""
    kept = {"hidden": (6,), "epochs": 2, "channel": "maker", "watches": 3, **settings}
    return tw.models.YouTubeRanker(**kept).fit(shown_log(), rng=0)


def counted(data, user, item, moment):
    """The continuous features of a pair, event by event."""
    events = data.interactions
    past = (events.user == user) & (events.time < moment)
    clicked = events.value > 0
    maker = data.items.features["maker"].codes
    same = past & clicked & (maker[events.item] == maker[item])
    age = moment - events.time[same].max() if same.any() else np.nan
    mine = past & (events.item == item)
    return [(mine & ~clicked).sum(), (mine & clicked).sum(), same.sum(), age]


def test_features_of_a_pair_are_those_counted_event_by_event():
    data = shown_log()
    events, model = data.interactions, fitted()
    rng = np.random.default_rng(1)
    at = np.sort(rng.integers(0, len(events), 150))
    item = rng.integers(0, 12, 150).astype(np.int32)
    pairs = Pairs(
        events.user[at].astype(np.int64),
        impressions.first_at_once(events)[at],
        item,
        events.time[at].astype(np.float64),
    )
    found = model.pair_columns(model.memory.history, pairs)
    wanted = [
        counted(data, user, one, when)
        for user, one, when in zip(pairs.who, item, pairs.now, strict=True)
    ]
    got = np.stack(
        [found[n].values for n in ("shown", "watched", "channel_watched", "channel_age")]
    )
    np.testing.assert_allclose(got.T, np.array(wanted, np.float64))
    assert got[1].max() >= 1


def test_watches_are_the_last_clicks_before_the_moment():
    data = shown_log()
    events = data.interactions
    who, stop = events.user.astype(np.int64), impressions.first_at_once(events)
    rows = impressions.last_watched(tw.Histories.of(events), who, stop, 3, 12).toarray()
    for at in range(len(events)):
        past = (events.user == who[at]) & (events.time < events.time[at]) & (events.value > 0)
        last = events.item[past][-3:]
        wanted = np.bincount(last, minlength=12) / max(len(last), 1)
        np.testing.assert_allclose(rows[at], wanted, atol=1e-6)


def powers(one, code):
    """The quantile of a number, its square and its root, less their means, and whether it is missing."""
    if np.isnan(one):
        return [0, 0, 0, 1]
    x, share = np.interp(one, code.knots, code.shares), np.diff(code.shares, append=1)
    return [x**power - share @ code.shares**power for power in (1, 2, 0.5)] + [0]


def by_hand(model, user, item, device, named=()):
    """e^(Wx + b) of a pair at the newest moment, in float64; `named` are the scores of candidate models."""
    data = shown_log()
    events = data.interactions
    w = {name: one.astype(np.float64) for name, one in model.weights.items()}
    clicked = (events.user == user) & (events.value > 0)
    last = events.item[clicked][-3:]
    numbers = []
    newest = events.time.max()
    values = counted(data, user, item, newest + 1)
    values[3] = max(values[3] - 1, 0)
    for code, one in zip(model.pair_code.codes, [*values, *named], strict=True):
        numbers += powers(one, code)
    makers = model.item_code.codes[0].levels.ids.to_list()
    devices = model.context_code.codes[0].levels.ids.to_list()
    x = np.concatenate(
        [
            w["items.weight"][item],
            w["tables.0.weight"][makers.index("abc"[item % 3])],
            w["items.weight"][last].mean(axis=0),
            w["tables.1.weight"][devices.index(device)],
            powers(user, model.user_code.codes[0]),
            numbers,
        ]
    )
    n_layers = len(model.estimator.hidden) + 1
    for at in range(n_layers):
        x = x @ w[f"layers.layers.{at}.weight"] + w[f"layers.layers.{at}.bias"]
        x = np.maximum(x, 0) if at + 1 < n_layers else x
    return np.exp(x[0])


@pytest.mark.parametrize("hidden", [(), (6,), (5, 4)])
def test_a_score_is_the_network_written_out(hidden):
    model = fitted(hidden=hidden)
    users = np.array([0, 3, 5], np.int32)
    items = np.array([[1, 7, -1], [4, 11, 0], [-1, -1, 2]], np.int32)
    device = Category(np.zeros(3, np.int32), Vocabulary.of(["tv"]))
    asked = replace(Queries.known(users), context={"device": device})
    scores = model.score(asked, items)
    for n, c in np.ndindex(3, 3):
        if items[n, c] < 0:
            assert scores[n, c] == -np.inf
        else:
            wanted = by_hand(model, users[n], items[n, c], "tv")
            assert scores[n, c] == pytest.approx(wanted, rel=1e-4)


def lists_of(data, n_models=2, seed=3):
    """Lists of five drawn items before the last third of each history, with what was gained of them."""
    rng = np.random.default_rng(seed)
    events, n = data.interactions, data.n_users
    event = (events.indptr[:-1] + 2 * np.diff(events.indptr) // 3).astype(np.int64)
    items = rng.permuted(np.tile(np.arange(12, dtype=np.int32), (n, 1)), axis=1)[:, :5]
    value = np.where(rng.random((n, 5)) < 0.4, 30, 0).astype(np.float32)
    named = rng.normal(size=(n, 5, n_models)).astype(np.float32)
    named[rng.random(named.shape) < 0.2] = np.nan
    return Shown(event, events.time[event], items, value, named)


def test_impressions_of_lists_are_their_items_and_know_what_came_before():
    data = shown_log()
    shown = lists_of(data)
    shown.items[1, 2:] = -1
    asked = impressions.asked_of_lists(data.interactions, shown)
    row, place = np.nonzero(shown.items >= 0)
    assert len(asked.value) == 6 * 5 - 3
    np.testing.assert_array_equal(asked.pairs.who, row)
    np.testing.assert_array_equal(asked.pairs.item, shown.items[row, place])
    np.testing.assert_array_equal(asked.pairs.stop, shown.event[row])
    np.testing.assert_array_equal(asked.pairs.now, shown.time[row])
    np.testing.assert_array_equal(asked.value, shown.value[row, place])
    np.testing.assert_array_equal(asked.named, shown.named[row, place])


def test_the_scores_of_candidate_models_are_numbers_of_the_network():
    data = shown_log()
    estimator = tw.models.YouTubeRanker(hidden=(6,), epochs=2, channel="maker", watches=3)
    model = estimator.fit(data, rng=0, shown=lists_of(data))
    assert model.n_named == 2
    users, items = np.array([0, 4], np.int32), np.array([[1, 7], [4, 11]], np.int32)
    named = np.array([[[0.3, np.nan], [-2, 1]], [[9, 0.1], [np.nan, np.nan]]], np.float32)
    device = Category(np.zeros(2, np.int32), Vocabulary.of(["tv"]))
    asked = replace(Queries.known(users), context={"device": device})
    scores = model.score(asked, items, named)
    for n, c in np.ndindex(2, 2):
        wanted = by_hand(model, users[n], items[n, c], "tv", named[n, c])
        assert scores[n, c] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("taken", [0.0, 5.0])
def test_lists_without_two_sides_teach_nothing(taken):
    data = shown_log()
    shown = lists_of(data)
    shown.value[:] = taken
    with pytest.raises(DataError, match="items that were taken and items that were passed by"):
        tw.models.YouTubeRanker().fit(data, rng=0, shown=shown)


def test_training_and_serving_are_the_same_network():
    from twofold.models.mapping._youtube_ranking import Ranking
    from twofold.models.mapping._youtube_towers import ragged
    from twofold.nn.weights import load_into

    model = fitted()
    tables = [model.weights[f"tables.{at}.weight"].shape for at in range(2)]
    width = model.weights["layers.layers.0.weight"].shape[0]
    net = Ranking(model.weights["items.weight"].shape, tables, [width, 6, 1], torch.Generator())
    load_into(net, model.weights)
    history = model.memory.history
    asked = Queries.known(np.arange(6, dtype=np.int32))
    people, told = (
        model.people_block(asked),
        {"device": Category(np.array([0, 1] * 3, np.int32), Vocabulary.of(["phone", "tv"]))},
    )
    block = model.query_block(history, np.arange(6), history.indptr[1:], people, told)
    left, _ = layers.first_layer(model.weights, block, 1, model.items_through[1])
    watched = model.watched_block(history, np.arange(6), history.indptr[1:])
    there = inputs.encode_columns(model.context_code, told, 6)
    sides = []
    for side, at in (
        (model.item_block, [4] * 6),
        (watched, range(6)),
        (people, range(6)),
        (there, range(6)),
    ):
        bags = [ragged(one) for one in side.fields]
        sides.append((bags, torch.from_numpy(side.dense), torch.tensor(at)))
    pair = np.zeros((6, model.pair_code.width), np.float32)
    found = net(sides, torch.from_numpy(pair)).numpy()
    x = left + model.items_through[0][4] + model.weights["layers.layers.0.bias"]
    ours = layers.dense_layers(np.maximum(x, 0), model.weights, "layers", last_relu=False, skip=1)
    np.testing.assert_allclose(ours[:, 0], found, rtol=1e-5, atol=1e-5)


def watch_log(n, seed=0):
    """Impressions whose expected watch time is known: by the taste of a person and the kind of a video."""
    rng = np.random.default_rng(seed)
    n_users, n_items = 20_000, 40
    user, item = rng.integers(0, n_users, n), rng.integers(0, n_items, n)
    logit = -1.2 + 0.5 * np.where(user % 2, 1, -1) + 0.4 * (item % 5 - 2)
    p = 1 / (1 + np.exp(-logit))
    mean = 20.0 * (1 + item % 4)
    seconds = np.where(rng.random(n) < p, mean * rng.uniform(0.5, 1.5, n), 0)
    data = tw.Dataset.from_frames(
        {"u": user, "i": item, "s": seconds, "t": np.arange(n)}, user="u", item="i", value="s", time="t",
        users={"u": range(n_users), "taste": ["even", "odd"] * (n_users // 2)},
        user_features={"taste": "category"},
        items={"i": range(n_items), "half": ["even", "odd"] * (n_items // 2)},
        item_features={"half": "category"},
    )  # fmt: skip
    return data, user, item, p, mean


def by_decile(predicted, truth):
    """Mean of the prediction over that of the truth, in ten parts by prediction."""
    parts = np.array_split(np.argsort(predicted, kind="stable"), 10)
    return np.array([predicted[one].mean() / truth[one].mean() for one in parts])


@pytest.fixture(scope="module")
def watched():
    """A ranker with weights and one without, on a log whose truth is known."""
    data, user, item, p, mean = watch_log(100_000)
    settings = {
        "hidden": (),
        "epochs": 6,
        "batch_size": 1024,
        "unsaid": 0.0,
        "watches": 1,
        "learning_rate": 0.004,
    }
    models = [
        tw.models.YouTubeRanker(**settings, weighted=one).fit(data, rng=0) for one in (True, False)
    ]
    rows, what = (
        side.ids.rows(ids)
        for side, ids in ((data.users, user[:20_000]), (data.items, item[:20_000]))
    )
    scores = [
        one.score(Queries.known(rows), what[:, None])[:, 0].astype(np.float64) for one in models
    ]
    return scores, p[:20_000], mean[:20_000]


def test_the_odds_are_the_expected_watch_time_in_every_decile(watched):
    (weighted, _), p, mean = watched
    ratio = by_decile(weighted, p * mean / (1 - p))
    assert np.abs(ratio - 1).max() < 0.05


def test_weights_rank_by_watch_time_and_none_by_clicks(watched):
    (weighted, unweighted), p, mean = watched
    truth = p * mean

    def gained(scores):
        top = np.argsort(-scores, kind="stable")[:2000]
        return truth[top].mean()

    assert gained(weighted) > gained(unweighted)
    np.testing.assert_allclose(by_decile(unweighted, p / (1 - p)), 1, atol=0.05)


def test_the_best_constant_is_where_training_begins():
    value = np.array([0, 0, 0, 0, 6, 2], np.float32)
    assert impressions.first_odds(value, value) == pytest.approx(np.log(8 / 4))
    assert impressions.first_odds(value, np.ones(6, np.float32)) == pytest.approx(np.log(2 / 4))


def test_an_item_of_too_few_impressions_is_a_zero_vector():
    data = shown_log()
    counts = np.bincount(data.interactions.item)
    model = fitted(min_count=int(counts.min()) + 1, features=())
    rare = int(counts.argmin())
    assert model.item_block.fields[0][[rare]].nnz == 0
    assert not model.similarity_vectors[rare].any()
    own = model.weights["layers.layers.0.bias"] * 0
    np.testing.assert_array_equal(model.items_through[0][rare], own)


def test_watches_of_items_of_too_few_impressions_are_zero_vectors():
    rare = np.argsort(np.bincount(shown_log().interactions.item))[:2].astype(np.int32)
    least = np.sort(np.bincount(shown_log().interactions.item))[1] + 1
    model = fitted(min_count=int(least), features=(), channel=None)
    items = np.setdiff1d(np.arange(12, dtype=np.int32), rare)
    pairs = [[items[0], rare[0]], [items[0], rare[1]], [items[0], items[1]]]
    told = tw.Histories(np.array([0, 2, 4, 6]), np.concatenate(pairs), np.ones(6, np.float32))
    one, other, third = model.score(Queries.of_histories(told), np.tile(items[2:], (3, 1)))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, third)


def test_an_unknown_level_and_an_unsaid_one_are_alike():
    model = fitted()
    ask = {"users": [0], "k": 5, "exclude_seen": False}
    with pytest.warns(DataWarning, match="'device' got 'watch'"):
        unknown = model.recommend(**ask, context={"device": ["watch"]})
    assert unknown.equals(model.recommend(**ask))
    assert not model.recommend(**ask, context={"device": ["tv"]}).equals(model.recommend(**ask))


def test_an_answer_does_not_depend_on_who_else_is_asked_for():
    model = fitted()
    known = Queries.known(np.array([2, 4], np.int32))
    history = tw.Histories(
        np.array([0, 0, 2]), np.array([3, 5], np.int32), np.array([1, np.nan], np.float32)
    )
    mixed = Queries(known.user, history, np.array([False, True]))
    items = np.tile(np.arange(12, dtype=np.int32), (2, 1))
    both = model.score(mixed, items)
    for row in range(2):
        alone = model.score(mixed.take(np.array([row])), items[:1])
        np.testing.assert_array_equal(both[row], alone[0])
    np.testing.assert_array_equal(both[0], model.score(known, items)[0])


def test_a_question_knows_what_came_before_its_moment_alone():
    log = planted_log()
    model = tw.models.YouTubeRanker(epochs=2).fit(log, rng=0)
    person = log.users.ids.ids[0]
    mine = log.frame("interactions").filter(pl.col("user") == person).sort("time")
    middle = mine["time"][len(mine) // 2]
    ask = {"k": 20, "exclude_seen": False}
    early = model.recommend(users=[person], context={"time": [middle]}, **ask)
    before = mine.filter(pl.col("time") < middle)["item"].to_list()
    told = model.recommend(users=[person], histories=[before], context={"time": [middle]}, **ask)
    assert early["item"].to_list() == told["item"].to_list()
    np.testing.assert_allclose(early["score"], told["score"], rtol=1e-5)
    later = model.recommend(users=[person], context={"time": [mine["time"].max()]}, **ask)
    assert not later["score"].equals(early["score"])


def test_time_passes():
    model = fitted()
    assert model.context_kinds["time"] == "time"
    ask = {"users": [0], "k": 12, "exclude_seen": False}
    soon, late = (
        model.recommend(**ask, context={"time": [1_000_000 + 60 * 80 + later]})["score"]
        for later in (0, 2000)
    )
    assert not soon.equals(late)


def test_no_candidates_are_no_scores():
    model = fitted()
    assert model.score(Queries.known(np.zeros(0, np.int32)), np.zeros((0, 4), np.int32)).shape == (
        0,
        4,
    )
    assert model.score(Queries.known(np.zeros(2, np.int32)), np.zeros((2, 0), np.int32)).shape == (
        2,
        0,
    )


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (np.zeros((1, 2)), "one row of candidates a query"),
        (np.array([[1], [12]]), r"rows 0 \.\.\. 11"),
        (np.array([[1], [-2]]), "found -2"),
    ],
)
def test_wrong_candidates_are_refused(items, said):
    with pytest.raises(DataError, match=said):
        fitted().score(Queries.known(np.zeros(2, np.int32)), items.astype(np.int32))


def test_a_log_that_cannot_be_learned_from_is_refused():
    data = shown_log()
    events = data.interactions
    for value, said in (
        (-events.value, "found -"),
        (events.value * 0, "no impression was clicked"),
    ):
        with pytest.raises(DataError, match=said):
            tw.models.YouTubeRanker().fit(
                tw.Dataset(events.with_values(value), data.users, data.items)
            )
    everything = {"u": [0, 0, 1, 1], "i": [0, 1, 0, 1], "v": [2.0, 3.0, 1.0, 1.0]}
    full = tw.Dataset.from_frames(everything, user="u", item="i", value="v")
    with pytest.raises(DataError, match="every impression was clicked"):
        tw.models.YouTubeRanker().fit(full)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"channel": "makr"}, "did you mean 'maker'"), ({"features": ("agge",)}, "'age'")],
)
def test_a_wrong_column_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        fitted(**settings)


def test_a_plain_log_gets_items_that_were_passed_by():
    model = tw.models.YouTubeRanker(epochs=8, learning_rate=0.01).fit(planted_log(), rng=0)
    even = np.array([int(one[1:]) % 2 == 0 for one in model.items.ids.ids])
    scores = model.lookup(np.arange(10, dtype=np.int32))
    liked = np.where(np.arange(10)[:, None] % 2 == 0, even, ~even)
    assert np.mean(scores[liked]) > 2 * np.mean(scores[~liked])


def test_what_was_shown_is_remembered_and_clicks_are_popular():
    model = fitted()
    events = shown_log().interactions
    np.testing.assert_array_equal(
        model.memory.popularity, np.bincount(events.item[events.value > 0], minlength=12)
    )
    assert model.predict(pl.DataFrame({"user": [0], "item": [1]}))["score"][0] > 0
