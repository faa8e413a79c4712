"""YouTubeCandidates: the tower written out by hand, what an example may see, and what it learns."""

import os
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from scipy.stats import rankdata

import twofold as tw
from twofold.data.columns import Category, Text
from twofold.data.file_order import in_drawn_order
from twofold.data.queries import Queries
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models.mapping import _youtube_inputs as inputs
from twofold.models.mapping import _youtube_searches as searching
from twofold.testing import planted_log

torch = pytest.importorskip("torch")
from twofold.models.mapping import _youtube_towers as towers  # noqa: E402
from twofold.nn.samplers import PopularitySampler  # noqa: E402
from twofold.nn.softmax import SoftmaxAmong  # noqa: E402


def random_log(seed, n_events=120, n_users=6, n_items=9, moments=25):
    """A log with a device, searches and users of a country; several events share a moment."""
    rng = np.random.default_rng(seed)
    words = np.array(["red", "blue car", "red car", "tree", ""])
    return tw.Dataset.from_frames(
        {
            "u": rng.integers(0, n_users, n_events),
            "i": rng.integers(0, n_items, n_events),
            "t": 1_000_000 + 60 * rng.integers(0, moments, n_events),
            "device": rng.choice(["tv", "phone"], n_events),
            "said": words[rng.integers(0, 5, n_events)],
        },
        user="u",
        item="i",
        time="t",
        context={"device": "category", "said": "text"},
        users={
            "u": range(n_users),
            "country": ["fr", "de"] * (n_users // 2),
            "age": range(n_users),
        },
        user_features={"country": "category", "age": "number"},
    )


def fitted(seed=0, **settings):
    """A small model of a random log."""
    kept = {"factors": 4, "epochs": 2, "searches": "said", **settings}
    return tw.models.YouTubeCandidates(**kept).fit(random_log(seed), rng=seed)


QUANTILES = np.arange(6) / 6
MEANS = np.array([(QUANTILES**power).mean() for power in (1, 2, 0.5)])
"""Of the quantile of a number that is another one for each of six people, its square and its root."""


def joined(sides):
    """The inputs of examples, a row each, as a block of questions has them."""
    blocks = []
    for block, rows in sides:
        fields = tuple(csr_array(one[rows]) for one in block.fields)
        blocks.append(inputs.Block(fields, block.dense[rows]))
    return inputs.joined(*blocks)


def by_hand(model, row, device):
    """u of a known user in float64, from the log and the formula of section 3.2."""
    w = {name: one.astype(np.float64) for name, one in model.weights.items()}
    data, settings = random_log(0), model.estimator
    mine = data.interactions.user == row
    watched = data.interactions.item[mine][-settings.watches :]
    said = []
    for text in data.interactions.context["said"].values.filter(pl.Series(mine)):
        single = text.split()
        said += single + [f"{a} {b}" for a, b in pairwise(single)]
    tokens = model.tokens.rows(said[-settings.search_tokens :])
    country = model.user_code.codes[0].levels.ids.to_list().index(["fr", "de"][row % 2])
    ages = np.arange(6)
    x = np.interp(row, ages, ages / 6)
    device_row = model.context_code.codes[0].levels.ids.to_list().index(device)
    z = np.concatenate(
        [
            w["tables.0.weight"][watched].mean(axis=0),
            w["tables.1.weight"][tokens].mean(axis=0),
            np.zeros(3),  # the age of the example
            w["tables.2.weight"][country],
            w["tables.3.weight"][device_row],
            *[np.array([x, x**2, np.sqrt(x)]) - MEANS, [0]],
        ]
    )
    for at in range(max(settings.depth, 1)):
        z = z @ w[f"layers.layers.{at}.weight"] + w[f"layers.layers.{at}.bias"]
        if settings.depth and settings.layer_norm:
            z = (z - z.mean()) / np.sqrt(z.var() + 1e-5)
            z = z * w[f"layers.norms.{at}.weight"] + w[f"layers.norms.{at}.bias"]
        z = np.maximum(z, 0) if settings.depth else z
    return z


@pytest.mark.parametrize(
    ("depth", "layer_norm"), [*((one, False) for one in range(5)), (0, True), (3, True)]
)
def test_a_query_is_the_tower_written_out(depth, layer_norm):
    model = fitted(depth=depth, layer_norm=layer_norm, watches=7, search_tokens=9)
    widths = [model.weights[f"layers.layers.{at}.weight"].shape[1] for at in range(max(depth, 1))]
    assert widths == [4 * 2**at for at in reversed(range(max(depth, 1)))]
    device = Category(np.array([0], np.int32), Vocabulary.of(["phone"]))
    for row in range(4):
        asked = Queries(*vars(Queries.known(np.array([row], np.int32))).values())
        asked = Queries(asked.user, asked.history, asked.has_history, None, {"device": device})
        vectors, source = model.encode(asked)
        np.testing.assert_allclose(vectors[0], by_hand(model, row, "phone"), rtol=1e-4, atol=1e-5)
        assert source[0] == 0


def test_numpy_serves_what_torch_trained():
    from twofold.models.mapping._youtube_towers import Tower, reading
    from twofold.nn.weights import load_into

    model = fitted(depth=2, item_bias=True, layer_norm=True)
    asked = Queries.known(np.arange(5, dtype=np.int32))
    sides = [inputs.Side.each(one) for one in model.parts(asked)]
    block = model.inputs(asked)
    tables = [model.weights[f"tables.{at}.weight"].shape for at in range(len(block.fields))]
    tower = Tower(
        tables, block.dense.shape[1], model.estimator.sizes, 9,
        linear=False, dropout=0.0, layer_norm=True, hidden_step=1.0, rng=torch.Generator(),
    )  # fmt: skip
    load_into(tower, model.weights)
    u = tower(reading(sides))
    scores = u @ tower.items.weight.T + tower.bias
    ours = model.forward(block) @ model.item_vectors.T
    np.testing.assert_allclose(ours, scores.numpy(), rtol=1e-5, atol=1e-5)


def test_validation_is_the_mean_reciprocal_rank():
    from twofold.models.mapping._youtube_towers import Tower, reciprocal_rank
    from twofold.nn.weights import load_into

    model = fitted()
    sides, labels = model.examples(random_log(0), np.random.default_rng(0))
    block = joined(sides)
    tables = [model.weights[f"tables.{at}.weight"].shape for at in range(len(block.fields))]
    tower = Tower(
        tables, block.dense.shape[1], model.estimator.sizes, 9,
        linear=False, dropout=0.0, layer_norm=False, hidden_step=1.0, rng=torch.Generator(),
    )  # fmt: skip
    load_into(tower, model.weights)
    scores = model.forward(block) @ model.item_vectors.T
    wanted = 1 / rankdata(-scores, axis=1)[np.arange(len(labels)), labels]
    assert reciprocal_rank(tower, sides, labels)() == pytest.approx(wanted.mean(), rel=1e-5)
    with torch.no_grad():
        tower.items.weight.zero_()
    assert reciprocal_rank(tower, sides, labels)() == pytest.approx(1 / 5)  # all nine level


def test_validation_looks_at_the_first_events_of_each_user(monkeypatch):
    from twofold.models.mapping import youtube_candidates

    model, later = fitted(), random_log(5)
    events = in_drawn_order(later, np.random.default_rng(0)).interactions
    _, labels = model.held_out(later, np.random.default_rng(0))
    np.testing.assert_array_equal(labels, events.item)
    monkeypatch.setattr(youtube_candidates, "HELD_OUT", 12)
    _, labels = model.held_out(later, np.random.default_rng(0))
    wanted = [events.item[first + at] for first in events.indptr[:-1] for at in (0, 1)]
    assert labels.tolist() == wanted


@pytest.mark.parametrize("seed", range(3))
def test_a_held_out_event_is_asked_for_with_all_that_came_before_it(seed):
    model, later = fitted(watches=4), random_log(seed + 1, n_users=8, n_items=11, moments=8)
    sides, labels = model.held_out(later, np.random.default_rng(0))
    block = joined(sides)
    events = in_drawn_order(later, np.random.default_rng(0)).interactions
    known, at = model.items.ids, 0
    for place, (user, item) in enumerate(zip(events.user, events.item, strict=True)):
        name = later.items.ids.ids[int(item)]
        if name not in known.ids:
            continue
        row = int(model.users.ids.rows([later.users.ids.ids[int(user)]])[0])
        history = model.memory.history.take(np.array([row], np.int32)).item.tolist()
        since = events.item[:place][events.user[:place] == user]
        rows = known.rows(later.items.ids.ids.gather(since))
        history = [*history, *rows[rows >= 0]][-4:]
        wanted = np.bincount(history, minlength=len(known)) / max(len(history), 1)
        np.testing.assert_allclose(block.fields[0][[at]].toarray()[0], wanted, rtol=1e-6)
        assert labels[at] == known.rows([name])[0]
        at += 1
    assert at == len(labels) < len(events)


def test_newcomers_of_the_validation_part_are_asked_for_with_their_columns():
    model, later = fitted(), random_log(1, n_users=8)
    (_, people, _), labels = model.held_out(later, np.random.default_rng(0))
    assert len(labels) == len(later)
    new = model.users.ids.rows(later.users.ids.ids)[later.interactions.user] < 0
    assert new.any()
    country = people.block.fields[0]
    assert (country.sum(axis=1)[new] == 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_an_example_sees_only_what_came_before_its_label(seed):
    events = random_log(seed).interactions
    made = inputs.examples_of(events, "future", 4, 1000, np.random.default_rng(0))
    assert len(made.event) == len(events)
    for at, first, stop in zip(made.event, *made.before, strict=True):
        earlier = np.flatnonzero(events.user[:at] == events.user[at])
        assert np.arange(first, stop).tolist() == earlier[-4:].tolist()
    assert (made.after[0] == made.after[1]).all()


@pytest.mark.parametrize(("name", "times"), [("YouTubeCandidates", 2), ("YouTubeRanker", 1.2)])
def test_artists_without_times_are_learned_whatever_the_order_of_their_file(real, name, times):
    """The file is sorted by artist; in that order both lists are far below popularity."""
    data = real("hetrec-lastfm-2k").filter(min_user_events=5, min_item_events=5)
    split = tw.split.random(data, test=0.1, rng=0)
    ndcg, popular = (
        tw.evaluate(one.fit(split.train, rng=0), split, metrics=["ndcg@10"]).values["ndcg@10"]
        for one in (getattr(tw.models, name)(), tw.models.Popularity())
    )
    assert ndcg > times * popular


def test_a_random_label_is_held_out_of_the_watches_around_it():
    events = random_log(1).interactions
    made = inputs.examples_of(events, "random", 4, 1000, np.random.default_rng(0))
    later = 0
    for at, a, b, c, d in zip(made.event, *made.before, *made.after, strict=True):
        seen = [*range(a, b), *range(c, d)]
        assert at not in seen
        assert len(seen) == 4
        assert (events.user[seen] == events.user[at]).all()
        later += (np.array(seen) > at).sum()
    assert later > len(events)


def test_the_log_as_it_is_read_has_no_label_in_its_inputs():
    """Changing an event and all later ones of a user leaves the inputs of its example as they were."""
    data = random_log(3, moments=10**6)  # no two of one moment, which would come in a drawn order
    model = fitted(3, example_age=False)
    before, _ = model.examples(data, np.random.default_rng(0))
    events = data.interactions
    at = int(events.indptr[2] + 10)
    changed = events.item.copy()
    changed[at : events.indptr[3]] = 0
    other = tw.Dataset(
        type(events)(
            **{
                **{k: v for k, v in vars(events).items() if k in events.__dataclass_fields__},
                "item": changed,
            }
        ),
        data.users,
        data.items,
    )
    after, _ = model.examples(other, np.random.default_rng(0))
    made = inputs.examples_of(events, "future", 50, 100, np.random.default_rng(0))
    example = int(np.flatnonzero(made.event == at)[0])
    before, after = joined(before), joined(after)
    for one, two in zip(before.fields, after.fields, strict=True):
        assert (one[[example]] != two[[example]]).nnz == 0
    assert (before.fields[0] != after.fields[0]).nnz > 0


def test_no_user_has_more_examples_than_the_cap():
    events = random_log(0).interactions
    made = inputs.examples_of(events, "future", 50, 7, np.random.default_rng(0))
    counts = np.bincount(events.user[made.event], minlength=6)
    np.testing.assert_array_equal(counts, np.minimum(np.bincount(events.user), 7))
    assert len(np.unique(made.event)) == len(made.event)


def test_examples_of_a_user_are_drawn_from_all_events_and_others_in_another_pass():
    log = {"u": np.repeat(range(4), 10), "i": range(40), "t": range(40)}
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t")
    model = tw.models.YouTubeCandidates(factors=8, epochs=1, examples_per_user=3).fit(data, rng=0)
    met = np.zeros(40, np.int64)
    for seed in range(100):
        _, labels = model.examples(data, np.random.default_rng(seed))
        assert np.bincount(labels // 10).tolist() == [3, 3, 3, 3]
        assert len(set(labels)) == 12
        met[labels] += 1
    assert met.min() > 10
    assert met.max() < 55


@pytest.mark.parametrize("most", [7, 1000])  # some of the events, or all of them in another order
def test_every_pass_draws_examples_and_the_order_of_a_moment_anew(most):
    model, log = fitted(examples_per_user=most, watches=4), random_log(0, moments=4)
    now, n = towers.Pass(partial(model.examples, log), np.random.default_rng(0)), min(6 * most, 120)
    drawn = []
    for seed in (1, 2, 1):
        batches = now.deal(n, 16, np.random.default_rng(seed))
        np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n))
        (bags, _, _), *_ = now.sides
        assert all(len(rows) == n for _, _, rows in now.sides)
        drawn.append((now.labels.tolist(), bags[0].ids.tolist()))
    assert drawn[0] == drawn[2]
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_the_age_is_zero_for_the_newest_event_and_at_serving():
    time = np.array([10, 30, 50])
    np.testing.assert_allclose(inputs.example_age(time, np.array([0, 1, 2])), [1, 0.5, 0])
    assert not inputs.example_age(None, np.array([0, 1])).any()
    assert not fitted().inputs(Queries.known(np.arange(3, dtype=np.int32))).dense[:, :3].any()


def rising_log(seed=0):
    """Old items were watched long ago and more often, new ones are watched now."""
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 1000, 3000)
    new = rng.random(3000) < np.clip((time - 600) / 400, 0, 1) ** 2
    item = np.where(new, rng.integers(20, 24, 3000), rng.integers(0, 20, 3000))
    return tw.Dataset.from_frames(
        {"u": rng.integers(0, 150, 3000), "i": item, "t": time}, user="u", item="i", time="t"
    )


def test_with_its_age_the_model_follows_what_is_new():
    share = {}
    for aged in (True, False):
        settings = {"factors": 8, "epochs": 40, "example_age": aged, "learning_rate": 0.01}
        model = tw.models.YouTubeCandidates(**settings).fit(rising_log(), rng=0)
        scores = model.lookup(np.arange(150, dtype=np.int32)) @ model.item_vectors.T
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        new = model.items.ids.ids.to_numpy() >= 20
        share[aged] = float((p[:, new].sum(axis=1) / p.sum(axis=1)).mean())
    assert share[True] > 0.7  # nearly all of what is watched at the end is new
    assert share[True] > share[False] + 0.15


def cycle_log(n_users=80, length=12, n_items=10):
    """Everybody watches item after item around a circle, each from a start of their own."""
    user, step = np.divmod(np.arange(n_users * length), length)
    return tw.Dataset.from_frames(
        {"u": user, "i": (user + step) % n_items, "t": step}, user="u", item="i", time="t"
    )


@pytest.mark.parametrize(
    "settings",
    [{"depth": 0}, {"depth": 2}, {"negatives": 4}, {"negatives": 4, "negatives_exponent": 0.0}],
)
def test_the_next_of_a_planted_sequence_is_found(settings):
    shared = {"factors": 16, "epochs": 30, "watches": 1, "learning_rate": 0.01}
    model = tw.models.YouTubeCandidates(**shared, **settings).fit(cycle_log(), rng=0)
    lists = model.recommend(histories=[[one] for one in range(10)], k=1)
    assert lists["item"].to_list() == [(one + 1) % 10 for one in range(10)]


def test_searches_lead_where_watches_say_nothing():
    """What is watched is what was searched for the moment before."""
    rng = np.random.default_rng(0)
    things = rng.integers(0, 6, 600)
    names = np.array(["apple", "bread", "cheese", "dates", "eggs", "figs"])
    user = np.arange(600) // 6
    said = np.roll(names[things], -1)  # said with the event before
    data = tw.Dataset.from_frames(
        {"u": user, "i": things, "t": np.arange(600), "said": said},
        user="u", item="i", time="t", context={"said": "text"},
    )  # fmt: skip
    model = tw.models.YouTubeCandidates(
        factors=16, epochs=30, searches="said", search_tokens=1, learning_rate=0.01
    ).fit(data, rng=0)
    lists = model.recommend(text=list(names), k=1)
    assert lists["item"].to_list() == list(range(6))
    assert set(lists["source"]) == {"content"}


def test_searches_of_people_lead_where_nothing_was_watched():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(30), 10)
    log = {"u": user, "i": rng.integers(0, 5, 300) + 5 * (user % 2), "t": np.arange(300)}
    people = {"u": range(31), "q": [("even thing", "odd stuff")[one % 2] for one in range(31)]}
    data = tw.Dataset.from_frames(
        log, user="u", item="i", time="t", users=people, user_features={"q": "text"}
    )
    model = tw.models.YouTubeCandidates(factors=8, epochs=30, searches="q").fit(data, rng=0)
    for asked, taste in (
        ({"users": [30]}, 0),
        ({"features": {"q": ["odd stuff"]}}, 1),
        ({"text": ["odd stuff"]}, 1),
    ):
        lists = model.recommend(**asked, k=3)
        assert set(lists["source"]) == {"content"}
        assert (lists["item"] // 5 == taste).all()
    strange = model.recommend(text=["zzz"], k=1)
    assert set(strange["source"]) == {"fallback:popularity"}
    ask = {"users": [0, 1], "k": 3, "exclude_seen": False}
    some = model.recommend(**ask, text=["odd stuff", ""])
    assert some.filter(pl.col("user") == 1).equals(
        model.recommend(**ask).filter(pl.col("user") == 1)
    )


def test_the_last_search_tokens_are_those_at_the_end_of_a_text():
    said = Text(pl.Series(["a b c d", "e"]))
    ends, found = searching.spoken(said)
    assert ends.tolist() == [0, 7, 8]
    assert found.to_list() == ["a", "b", "a b", "c", "b c", "d", "c d", "e"]
    known = searching.learn_tokens(said, 100, "searches")
    read = searching.last_tokens(said, known, 3).toarray()
    shares = [dict(zip(known.ids, row, strict=True)) for row in read]
    assert {name for name, share in shares[0].items() if share} == {"b c", "d", "c d"}
    together = searching.last_tokens(said, known, 3, np.array([0, 2]))[[0]].toarray()[0]
    assert {one for one, share in zip(known.ids, together, strict=True) if share} == {
        "d",
        "c d",
        "e",
    }


def test_an_unknown_category_is_a_zero_vector():
    model = fitted()
    ask = {"users": [0], "k": 9, "exclude_seen": False}
    with pytest.warns(DataWarning, match="'device' got 'watch'"):
        unknown = model.recommend(**ask, context={"device": ["watch"]})
    assert unknown.equals(model.recommend(**ask))
    assert not unknown.equals(model.recommend(**ask, context={"device": ["tv"]}))
    known = model.recommend(features={"country": ["fr"]}, k=3)
    assert set(known["source"]) == {"content"}


def test_a_stranger_among_people_with_words_and_tags_is_answered():
    data = tw.Dataset.from_frames(
        {"u": [0, 0, 1, 1], "i": [0, 1, 1, 2]},
        user="u", item="i",
        users={"u": [0, 1], "about": ["one", "two"], "likes": [["x"], ["x", "y"]]},
        user_features={"about": "text", "likes": "tags"},
    )  # fmt: skip
    for estimator in (tw.models.YouTubeCandidates(epochs=1), tw.models.YouTubeRanker(epochs=1)):
        model = estimator.fit(data, rng=0)
        lists = model.recommend(users=["new", 0], histories=[[1], [0]], k=1)
        assert len(lists) == 2
        assert np.isfinite(lists["score"].to_numpy()).all()


def test_a_bias_is_one_more_coordinate():
    model = fitted(item_bias=True)
    assert model.item_vectors.shape == (9, 5)
    assert (model.lookup(np.arange(3, dtype=np.int32))[:, -1] == 1).all()
    assert model.similarity_vectors.shape == (9, 4)
    assert model.item_vectors[:, -1].any()


def test_validation_keeps_an_earlier_pass():
    split = tw.split.temporal(planted_log(), test=0.1, validation=0.2)
    estimator = tw.models.YouTubeCandidates(factors=16, epochs=40, learning_rate=0.02)
    last, kept = (
        estimator.fit(split.train, validation=one, rng=0) for one in (None, split.validation)
    )
    sides, labels = kept.held_out(split.validation, np.random.default_rng(0))
    block = joined(sides)

    def reciprocal(model):
        ranks = rankdata(-(model.forward(block) @ model.item_vectors.T), axis=1)
        return (1 / ranks[np.arange(len(labels)), labels]).mean()

    assert reciprocal(kept) > reciprocal(last)


def test_training_ends_after_so_many_passes_without_a_better_one(monkeypatch):
    scores = []
    falling = lambda *given: lambda: scores.append(-len(scores)) or float(scores[-1])  # noqa: E731
    monkeypatch.setattr(towers, "reciprocal_rank", falling)
    split = tw.split.temporal(planted_log(), test=0.1, validation=0.2)
    model = tw.models.YouTubeCandidates(factors=4, epochs=30, patience=3)
    fitted = model.fit(split.train, validation=split.validation, rng=0)
    assert (len(scores), fitted.best_epoch) == (4, 1)


def remainder_log(n=6000, seed=0):
    """What is watched is the sum of country and device modulo 7: every item is as likely for each country and for each device."""
    rng = np.random.default_rng(seed)
    country, device = rng.integers(0, 7, (2, n))
    user = 7 * rng.integers(0, 40, n) + country
    return tw.Dataset.from_frames(
        {"u": user, "i": (country + device) % 7, "t": np.arange(n), "device": device.astype(str)},
        user="u", item="i", time="t", context={"device": "category"},
        users={"u": range(280), "country": (np.arange(280) % 7).astype(str)}, user_features={"country": "category"},
    )  # fmt: skip


def test_a_deep_tower_learns_what_a_linear_map_cannot():
    data, found = remainder_log(), {}
    for depth in (0, 4):
        model = tw.models.YouTubeCandidates(
            factors=16, depth=depth, epochs=20, learning_rate=0.01
        ).fit(data, rng=0)
        events = data.interactions
        block = model.inputs(replace(Queries.known(events.user[:1000]), context={
            name: column.take(np.arange(1000)) for name, column in events.context.items()
        }))  # fmt: skip
        best = (model.forward(block) @ model.item_vectors.T).argmax(axis=1)
        found[depth] = (best == events.item[:1000]).mean()
    assert found[4] > 0.9
    assert found[0] < 0.3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"searches": "sad"}, "did you mean 'said'"),
        ({"searches": "device"}, "no text column"),
        ({"features": ("contry",)}, "did you mean 'country'"),
        ({"features": ("said",)}, "text column"),
    ],
)
def test_a_wrong_column_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        tw.models.YouTubeCandidates(**settings).fit(random_log(0), rng=0)


def test_a_wrong_question_is_refused():
    model = fitted(searches=None)
    with pytest.raises(ConfigError, match="does not read words"):
        model.recommend(text=["red"], k=1)
    with pytest.raises(ConfigError, match="no context column 'divice'"):
        model.recommend(users=[0], context={"divice": ["tv"]})
    with pytest.raises(ConfigError, match="no user feature"):
        model.recommend(users=[0], features={"contry": ["fr"]})
    with pytest.warns(DataWarning, match="does not read the context column 'time'"):
        model.recommend(users=[0], context={"time": ["2026-05-04T20:30"]})
    number = Queries.known(np.zeros(1, np.int32))
    text = Text(pl.Series(["tv"]))
    asked = Queries(number.user, number.history, number.has_history, None, {"device": text})
    with pytest.raises(DataError, match="was a category in training"):
        model.encode(asked)


def test_a_depth_past_four_is_refused():
    with pytest.raises(ConfigError, match="depth"):
        tw.models.YouTubeCandidates(depth=5)


def test_it_stands_above_popularity_and_ease_on_films():
    folder = Path(os.environ.get("TWOFOLD_DATA", "")) / "movietweetings-100k"
    if not os.environ.get("TWOFOLD_DATA") or not folder.is_dir():
        pytest.skip("TWOFOLD_DATA has no movietweetings-100k")
    data = tw.datasets.load("movietweetings-100k").filter(min_user_events=5, min_item_events=10)
    split = tw.split.temporal(data, test=0.1, validation=0.0)
    model = tw.models.YouTubeCandidates(epochs=4).fit(split.train, rng=0)
    found, popular, ease = (
        tw.evaluate(one, split, metrics=["ndcg@10"]).values["ndcg@10"]
        for one in (
            model,
            tw.models.Popularity().fit(split.train),
            tw.models.EASE().fit(split.train),
        )
    )
    assert found > 1.25 * popular
    assert found > 1.25 * ease


def test_drawn_items_teach_what_all_items_teach():
    share = torch.arange(1, 41, dtype=torch.float64) ** -1.5
    bias = (share / share.sum()).log().float().requires_grad_()
    draw = torch.Generator().manual_seed(0)
    u = torch.randn(2, 3, generator=draw)
    v = (0.1 * torch.randn(40, 3, generator=draw)).requires_grad_()
    label, sampler = torch.tensor([0, 7]), PopularitySampler.of(share.numpy())
    losses = (
        towers.among_drawn(
            u, label, v, bias, sampler, sampler.draw_distinct(50_000, draw), SoftmaxAmong()
        ),
        torch.nn.functional.cross_entropy(u @ v.T + bias, label),
    )
    drawn, full = (torch.autograd.grad(one, (v, bias)) for one in losses)
    for mine, theirs in zip(drawn, full, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=5e-3)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_few_drawn_items_teach_what_the_corrected_softmax_of_them_does(n):
    """Bengio & Senecal (2008): every score is lowered by ln Q, that of the label too; draw by draw in float64."""
    share = np.arange(1, 9) ** -1.5
    rng, label = np.random.default_rng(n), torch.tensor([0, 5, 7])
    given = [rng.normal(size=shape) for shape in ((3, 4), (8, 4), 8)]
    sampler = PopularitySampler.of(share)
    u, v, bias = (torch.from_numpy(one.astype(np.float32)).requires_grad_() for one in given)
    drawn = sampler.draw_distinct(n, torch.Generator().manual_seed(n))
    loss = towers.among_drawn(u, label, v, bias, sampler, drawn, SoftmaxAmong())
    ids = sampler.draw((n,), torch.Generator().manual_seed(n)).ids
    wide = [torch.from_numpy(one).requires_grad_() for one in given]
    scores = wide[0] @ wide[1].T + wide[2] - torch.from_numpy(np.log(share / share.sum()))
    among = torch.cat([scores[range(3), label][:, None], scores[:, ids]], dim=1)
    wanted = -torch.log_softmax(among, dim=1)[:, 0].mean()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    found = torch.autograd.grad(loss, (u, v, bias)), torch.autograd.grad(wanted, wide)
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-6)


def test_watches_are_left_out_in_training_alone():
    log = planted_log()
    plain = tw.models.YouTubeCandidates(factors=4, epochs=3).fit(log, rng=0)
    thinned = tw.models.YouTubeCandidates(factors=4, epochs=3, watch_dropout=0.5).fit(log, rng=0)
    assert not np.array_equal(plain.item_vectors, thinned.item_vectors)
    people = log.users.ids.ids.to_list()
    assert thinned.recommend(users=people, k=3).equals(thinned.recommend(users=people, k=3))
    left, whole = (
        one.examples(log, np.random.default_rng(0))[0][0].block.fields[0].data
        for one in (thinned, plain)
    )
    assert 0.4 < (left == 0).mean() < 0.6
    np.testing.assert_allclose(left[left > 0], 2 * whole[left > 0])
