"""Doc2Vec on documents whose topic is known."""

import numba
import numpy as np
import pytest

import twofold as tw
from twofold.errors import DataError
from twofold.models import Doc2Vec, Popularity
from twofold.models.sequence.doc2vec import PVDBOW, PVDM, repeats

ARCHITECTURES = {"pv-dm": PVDM(window=1, learning_rate=0.2), "pv-dbow": PVDBOW()}
TOPICS, WORDS = 5, 12


def documents(seed=0, n=400):
    """Documents of topic r mod TOPICS; every other word is of none, so that neighbours do not tell the topic."""
    rng = np.random.default_rng(seed)
    return tw.datasets.from_sequences(
        [
            f"x_{rng.integers(5)}" if at % 2 else f"{row % TOPICS}_{rng.integers(WORDS)}"
            for at in range(25)
        ]
        for row in range(n)
    )


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request):
    return Doc2Vec(factors=12, prior=0.0, architecture=ARCHITECTURES[request.param]).fit(
        documents(), rng=0
    )


def topic_of_best(model, vectors):
    scores = vectors @ model.item_vectors.T
    scores[:, [one.startswith("x") for one in model.items.ids.ids]] = -np.inf
    best = scores.argmax(axis=1)
    return [model.items.ids[row].split("_")[0] for row in best]


def test_documents_are_scored_by_their_topic(model):
    rows = np.arange(400, dtype=np.int32)
    found = np.array(topic_of_best(model, model.lookup(rows)))
    assert (found == (rows % TOPICS).astype(str)).mean() > 0.99


def test_documents_of_a_topic_are_neighbours(model):
    people = model.user_vectors
    near = [
        people.similar(row, 10)["item"].to_numpy() % TOPICS == row % TOPICS for row in range(30)
    ]
    assert np.mean(near) > 0.95


def test_words_of_a_topic_are_neighbours(model):
    near = [
        one.split("_")[0] == word.split("_")[0]
        for word in model.items.ids.ids
        if not word.startswith("x")
        for one in model.similar_items(word, 5)["item"]
    ]
    assert np.mean(near) > 0.95


def test_a_new_document_is_inferred(model):
    fresh = documents(seed=9, n=50)
    history = tw.Histories.of(fresh.interactions)
    rows = model.items.ids.rows(fresh.items.ids.ids)
    told = tw.Histories(history.indptr, rows[history.item], history.value)
    vectors = model.fold_in(told)
    assert topic_of_best(model, vectors) == [str(row % TOPICS) for row in range(50)]
    np.testing.assert_array_equal(vectors, model.fold_in(told))
    np.testing.assert_array_equal(vectors[[7, 7, 3]], model.fold_in(told.take(np.array([7, 7, 3]))))


def test_words_alone_and_in_whatever_order_say_the_same_in_a_bag():
    model = Doc2Vec(factors=12, architecture=PVDBOW(), inference_epochs=200).fit(documents(), rng=0)
    one, other = (
        model.fold_in(
            tw.Histories(np.array([0, 4]), np.array(order, np.int32), np.ones(4, np.float32))
        )[0]
        for order in ([3, 9, 9, 20], [20, 9, 3, 9])
    )
    cosine = one[:-1] @ other[:-1] / np.linalg.norm(one[:-1]) / np.linalg.norm(other[:-1])
    assert cosine > 0.99


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_seed_gives_the_same_bytes_for_every_number_of_threads(architecture):
    estimator = Doc2Vec(
        factors=20, epochs=2, architecture=ARCHITECTURES[architecture], subsample=0.01
    )
    data, found, threads = documents(n=60), [], numba.get_num_threads()
    try:
        for count in (threads, 1):
            numba.set_num_threads(count)
            fitted = estimator.fit(data, rng=3)
            found.append([fitted.user_factors, fitted.item_factors, fitted.token_vectors])
            found[-1].append(fitted.fold_in(fitted.memory.history))
    finally:
        numba.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_occurrences_are_numbered_within_their_document():
    indptr, token = np.array([0, 5, 5, 7]), np.array([3, 1, 3, 3, 1, 3, 1], np.int32)
    assert repeats(indptr, token).tolist() == [0, 0, 1, 2, 1, 0, 0]
    assert repeats(np.array([0]), token[:0]).tolist() == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "lists",
    [[["a"]], [["a", "a", "a"]], [["a", "b"]], [[], ["a", "b", "a", "b"], ["rare"], []]],
    ids=["one event", "a vocabulary of one", "one pair", "once and empty"],
)
def test_corpora_with_little_to_learn(lists, architecture):
    data = tw.datasets.from_sequences(lists)
    model = Doc2Vec(factors=3, architecture=ARCHITECTURES[architecture], subsample=1e-3).fit(
        data, rng=0
    )
    for array in (model.user_factors, model.item_factors, model.fold_in(model.memory.history)):
        assert np.isfinite(array).all()
    empty = [row for row, one in enumerate(lists) if not one]
    assert not model.user_factors[empty, :-1].any()


def test_rare_tokens_are_left_out_and_passed_over():
    data = tw.datasets.from_sequences([["a", "b", "a", "b"]] * 5 + [["once"]])
    model = Doc2Vec(factors=4, min_count=2).fit(data, rng=0)
    row = model.items.ids.row("once")
    assert not model.item_factors[row, :-1].any()
    assert not model.user_factors[5, :-1].any()
    both, alone = (
        model.recommend(histories=[one], k=2, exclude_seen=False)["score"].to_list()
        for one in (["a", "once"], ["a"])
    )
    assert both == alone
    with pytest.raises(DataError, match="min_count is 99"):
        Doc2Vec(min_count=99).fit(data)


def test_vectors_go_to_a_file_of_word2vec_and_come_back(tmp_path, model):
    again = tw.read_word2vec(model.to_word2vec(tmp_path / "v"))
    np.testing.assert_array_equal(again.vectors, model.similarity_vectors)


@pytest.mark.data
def test_it_beats_popularity_on_real_baskets(real):
    data = real("online-retail").filter(min_user_events=5, min_item_events=10)
    split = tw.split.last_basket(data, repeats="drop")
    found = {
        name: tw.evaluate(one.fit(split.train, rng=0), split, metrics=["ndcg@10"])["ndcg@10"]
        for name, one in {"documents": Doc2Vec(), "popularity": Popularity()}.items()
    }
    assert found["documents"] > 1.2 * found["popularity"]
