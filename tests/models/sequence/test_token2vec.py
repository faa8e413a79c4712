"""Token2Vec on corpora whose answer is known."""

import numba
import numpy as np
import pytest

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.models import Popularity, Token2Vec
from twofold.models.sequence import _corpus
from twofold.models.sequence import _passes as passes
from twofold.models.sequence._history import mean_of_latest
from twofold.models.sequence.token2vec import (
    CBOW,
    HierarchicalSoftmax,
    NegativeSampling,
    SkipGram,
)

ARCHITECTURES = {"skip-gram": SkipGram(), "cbow": CBOW()}
OBJECTIVES = {
    "negative sampling": NegativeSampling(),
    "hierarchical softmax": HierarchicalSoftmax(),
}


def planted_topics(seed=0, sentences=1_500, topics=8, words=12):
    """Sentences of one topic each, with a few words of none; word 'k_i' belongs to topic k."""
    rng = np.random.default_rng(seed)
    lists = []
    for _ in range(sentences):
        topic = rng.integers(topics)
        own = [f"{topic}_{rng.integers(words)}" for _ in range(9)]
        lists.append([*own, *(f"common_{rng.integers(5)}" for _ in range(3))])
        rng.shuffle(lists[-1])
    return tw.datasets.from_sequences(lists)


def agreement(model, k=5):
    """Share of the k nearest words of topic words that are of the same topic."""
    words = [one for one in model.items.ids.ids if not one.startswith("common")]
    same = [
        near.split("_")[0] == word.split("_")[0]
        for word in words
        for near in model.similar_items(word, k)["item"]
    ]
    return np.mean(same)


@pytest.fixture(scope="module")
def topics():
    return planted_topics()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_neighbours_are_of_the_planted_topic(topics, architecture, objective):
    model = Token2Vec(
        factors=16, architecture=ARCHITECTURES[architecture], objective=OBJECTIVES[objective]
    )
    assert agreement(model.fit(topics, rng=0)) > 0.95  # 0.13 by chance


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_bytes_for_every_number_of_threads(architecture, objective):
    data = planted_topics(sentences=60)
    model = Token2Vec(
        factors=20, epochs=2, architecture=ARCHITECTURES[architecture], objective=OBJECTIVES[objective],
        subsample=0.01,
    )  # fmt: skip
    found, threads = [], numba.get_num_threads()
    try:
        for count in (threads, 1):
            numba.set_num_threads(count)
            found.append(model.fit(data, rng=3))
    finally:
        numba.set_num_threads(threads)
    for name in ("token_vectors", "item_factors"):
        np.testing.assert_array_equal(*(getattr(one, name) for one in found))
    assert not np.array_equal(found[0].token_vectors, model.fit(data, rng=4).token_vectors)


def test_negative_sampling_learns_the_log_odds_of_the_conditional_probability():
    """v . v' + ln k P_n tends to the log odds of P(token | token): a chain with known transitions.

    Of P itself where P is small (Levy & Goldberg 2014); a target is never its own negative, hence the odds.
    """
    rng = np.random.default_rng(0)
    chance = np.array(
        [[0.0, 0.6, 0.3, 0.1], [0.5, 0.0, 0.25, 0.25], [0.2, 0.4, 0.0, 0.4], [0.3, 0.3, 0.4, 0.0]]
    )
    walk = [0]
    for _ in range(40_000):
        walk.append(int(rng.choice(4, p=chance[walk[-1]])))
    data = tw.datasets.from_sequences([walk])
    model = Token2Vec(factors=8, window=1, epochs=40, architecture=SkipGram(learning_rate=0.05))
    fitted = model.fit(data, rng=0)
    near = np.zeros((4, 4))  # windows look to both sides
    np.add.at(near, (walk[:-1], walk[1:]), 1)
    near += near.T
    wanted = near / near.sum(axis=1, keepdims=True)
    scores = np.hstack([fitted.token_vectors, np.ones((4, 1))]) @ fitted.item_factors.T
    counts = np.bincount(walk, minlength=4) ** 0.75
    found = 1 / (1 + np.exp(-(scores + np.log(5))))
    assert np.abs(found - wanted).max() < 0.05
    np.testing.assert_allclose(fitted.item_factors[:, -1], np.log(counts / counts.sum()), rtol=1e-5)


def test_the_prior_undoes_noise_and_thinning():
    corpus = _corpus.Corpus.of(np.array([0, 100]), np.repeat([0, 1, 2], [70, 25, 5]), 4)
    course = _corpus.Course(5, True, 0.05, 5, 0.75, 1, 0.025)
    share = np.array([0.7, 0.25, 0.05])
    keep = np.minimum(np.sqrt(0.05 / share) + 0.05 / share, 1)
    np.testing.assert_allclose(course.keep(corpus)[:3], keep)
    np.testing.assert_allclose(course.noise(corpus)[:3], share**0.75 / (share**0.75).sum())
    assert course.noise(corpus)[3] == 0
    seen = np.array([70, 25, 5, 1]) ** 0.75
    wanted = np.log(seen / seen.sum()) - np.log([*keep, 1])
    np.testing.assert_allclose(course.prior(corpus), wanted)


def test_a_gap_or_a_session_keeps_windows_apart():
    """a b | c d, a day apart: only with a gap are b and c no neighbours."""
    log = {"u": [], "i": [], "t": [], "s": []}
    for user in range(200):
        for at, item in enumerate("abcd"):
            log["u"].append(user)
            log["i"].append(item)
            log["t"].append(at * 60 + (86_400 if at > 1 else 0))
            log["s"].append("first" if at < 2 else "second")
    data = tw.Dataset.from_frames(log, user="u", item="i", time="t", context={"s": "category"})
    plain = Token2Vec(factors=8, epochs=20, prior=0.0)
    for model, apart in (
        (plain, False),
        (Token2Vec(factors=8, epochs=20, prior=0.0, gap=3600), True),
        (Token2Vec(factors=8, epochs=20, prior=0.0, session="s"), True),
    ):
        fitted = model.fit(data, rng=0)
        b, c = fitted.items.ids.row("b"), fitted.items.ids.row("c")
        score = float(fitted.token_vectors[b] @ fitted.item_factors[c, :-1])
        assert (score < -2) == apart
    with pytest.raises(ConfigError, match="sess"):
        Token2Vec(session="sess").fit(data)
    untimed = tw.datasets.from_sequences([["a", "b"]])
    with pytest.raises(DataError, match="time"):
        Token2Vec(gap=60.0).fit(untimed)


def test_a_history_is_the_mean_of_its_latest_known_tokens():
    indptr, item = np.array([0, 4, 4, 6]), np.array([0, 1, 2, 3, 3, 0], np.int32)
    histories = tw.Histories(indptr, item, np.ones(6, np.float32))
    vectors = np.eye(4, dtype=np.float32)
    known = np.array([True, True, True, False])
    mean, count = mean_of_latest(histories, known, 0, vectors)
    assert count.tolist() == [3, 0, 1]
    np.testing.assert_allclose(
        mean,
        [[1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 0], [1, 0, 0, 0]], rtol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(
        mean_of_latest(histories, known, 2, vectors)[0], [[0, 0.5, 0.5, 0], [0] * 4, [1, 0, 0, 0]]
    )


def test_input_vectors_answer_by_cosine(topics):
    model = Token2Vec(factors=16, epochs=3, item_side="input").fit(topics, rng=0)
    lists = model.recommend(histories=[["3_1"]], k=4)
    likely = model.similar_items("3_1", k=4)
    assert lists["item"].to_list() == likely["item"].to_list()
    np.testing.assert_allclose(lists["score"], likely["score"], rtol=1e-5)
    coded = Token2Vec(factors=16, epochs=3, objective=HierarchicalSoftmax()).fit(topics, rng=0)
    assert coded.recommend(histories=[["3_1"]], k=4)["item"].to_list() == (
        coded.similar_items("3_1", k=4)["item"].to_list()
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "lists",
    [[["a"]], [["a", "a", "a"]], [["a", "b"]], [[], ["a", "b", "a", "b"], ["rare"], []]],
    ids=["one event", "a vocabulary of one", "one pair", "once and empty"],
)
def test_corpora_with_little_to_learn(lists, architecture, objective):
    data = tw.datasets.from_sequences(lists)
    model = Token2Vec(
        factors=3, architecture=ARCHITECTURES[architecture], objective=OBJECTIVES[objective],
        subsample=1e-3,
    ).fit(data, rng=0)  # fmt: skip
    assert np.isfinite(model.token_vectors).all()
    assert np.isfinite(model.item_factors).all()
    assert len(model.recommend(histories=[["a"]], exclude_seen=False)) == data.n_items


def test_rare_tokens_are_left_out_and_passed_over():
    data = tw.datasets.from_sequences([["a", "b", "rare", "a", "b"]] * 5 + [["once", "a"]])
    model = Token2Vec(factors=4, min_count=2).fit(data, rng=0)
    once = model.items.ids.row("once")
    assert not model.token_vectors[once].any()
    assert not model.item_factors[once, :-1].any()
    both, alone = (
        model.recommend(histories=[one], k=2, exclude_seen=False) for one in (["a", "once"], ["a"])
    )
    assert both["score"].to_list() == alone["score"].to_list()
    with pytest.raises(
        DataError, match="min_count is 99 and the most frequent token occurs 11 times"
    ):
        Token2Vec(min_count=99).fit(data)


def test_a_long_sequence_is_cut_and_chunks_cover_everything(monkeypatch):
    monkeypatch.setattr(_corpus, "LONGEST", 7)
    monkeypatch.setattr(_corpus, "SMALLEST", 20)
    indptr = np.array([0, 0, 15, 15, 16, 50])
    corpus = _corpus.Corpus.of(indptr, np.arange(50, dtype=np.int32) % 9, 9)
    assert np.diff(corpus.start).tolist() == [7, 7, 1, 1, 7, 7, 7, 7, 6]
    assert corpus.owner.tolist() == [1, 1, 1, 3, 4, 4, 4, 4, 4]
    chunks = corpus.chunks(3)
    assert [one for a, b in chunks for one in range(a, b)] == list(range(9))
    assert len(chunks) == 3


def test_rounds_hold_no_token_too_often():
    assert passes.round_length(np.full(100_000, 1e-5)) == passes.ROUND
    assert passes.round_length(np.array([0.5, 0.5])) == 32
    assert passes.round_length(np.zeros(3)) == passes.ROUND


def test_vectors_go_to_a_file_of_word2vec_and_come_back(tmp_path, topics):
    model = Token2Vec(factors=16, epochs=1).fit(topics, rng=0)
    for binary in (False, True):
        again = tw.read_word2vec(model.to_word2vec(tmp_path / "v", binary=binary))
        np.testing.assert_array_equal(again.vectors, model.token_vectors)
        assert again.similar("0_0", 5).equals(model.similar_items("0_0", 5))


@pytest.mark.data
def test_it_beats_popularity_on_real_baskets(real):
    data = real("online-retail").filter(min_user_events=5, min_item_events=10)
    split = tw.split.last_basket(data, repeats="drop")
    found = {
        name: tw.evaluate(one.fit(split.train, rng=0), split, metrics=["ndcg@10"])["ndcg@10"]
        for name, one in {"tokens": Token2Vec(), "popularity": Popularity()}.items()
    }
    assert found["tokens"] > 1.2 * found["popularity"]
