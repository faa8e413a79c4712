"""Analogies against loops, the format of questions, and planted relations whose answers are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twofold as tw
from twofold.applications import analogies
from twofold.applications.analogies import Question
from twofold.errors import ConfigError, DataError, UnknownIdError


def cosine(x, y):
    length = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / length) if length else 0.0


@given(seed=st.integers(0, 999), method=st.sampled_from(analogies.METHODS))
def test_answers_are_the_written_formulas(seed, method):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, 4))
    x[rng.random(12) < 0.1] = 0
    ids = [f"w{at:02}" for at in range(12)]
    a, b, c = rng.choice(12, 3, replace=False)
    x[[a, b, c]] = rng.normal(size=(3, 4))
    wanted = {}
    for d in range(12):
        if d in (a, b, c):
            continue
        to_a, to_b, to_c = (cosine(x[d], x[one]) for one in (a, b, c))
        if method == "add":
            wanted[ids[d]] = to_a - to_b + to_c
        else:
            wanted[ids[d]] = (to_a + 1) / 2 * (to_c + 1) / 2 / ((to_b + 1) / 2 + 0.001)
    got = analogies.analogy(tw.Vectors.of(ids, x), ids[a], ids[b], ids[c], k=20, method=method)
    assert set(got["item"]) == set(wanted)
    assert got["score"].to_list() == sorted(got["score"], reverse=True)
    for item, score in got.select("item", "score").iter_rows():
        assert score == pytest.approx(wanted[item], rel=1e-4, abs=1e-5)


def test_vectors_on_their_own_are_like_the_items_of_their_model():
    data = analogies.planted(pairs=4, sentences=400, rng=0).data
    for estimator in (tw.models.IALS(factors=6), tw.models.EASE()):
        model = estimator.fit(data, rng=0)
        vectors = tw.Vectors(model.items.ids, model.similarity_vectors)
        mine = vectors.similar("capital-1", k=5)
        assert mine.equals(model.similar_items("capital-1", k=5))
        row = np.array([model.items.ids.row("capital-1")], np.int32)
        cosines = vectors.cosines(row)[0]
        rows = model.items.ids.rows(mine["item"])
        np.testing.assert_allclose(cosines[rows], mine["score"], rtol=1e-4)
        assert cosines[row[0]] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", analogies.METHODS)
@pytest.mark.parametrize("estimator", [tw.models.IALS(factors=16), tw.models.EASE()], ids=lambda one: type(one).__name__)  # fmt: skip
def test_planted_relations_are_found(estimator, method):
    planted = analogies.planted(pairs=8, sentences=3000, rng=0)
    model = estimator.fit(planted.data, rng=0)
    found = analogies.evaluate(model, planted.questions, method=method)
    assert found["section"].to_list() == ["capital", "river", "all"]
    assert found["questions"].to_list() == [56, 56, 112]
    # One of 60 words at random would be right once in 60.
    assert found["accuracy"].min() > 0.95


def test_vectors_at_random_answer_nothing():
    planted = analogies.planted(pairs=8, sentences=300, rng=0)
    ids = planted.data.items.ids.ids.to_list()
    vectors = tw.Vectors.of(ids, np.random.default_rng(0).normal(size=(len(ids), 16)))
    assert analogies.evaluate(vectors, planted.questions)["accuracy"][-1] < 0.15


def test_exact_parallelograms_are_always_found():
    rng = np.random.default_rng(0)
    country, kind = rng.normal(size=(6, 20)), rng.normal(size=(2, 20))
    ids = [f"{k}{c}" for k in range(2) for c in range(6)]
    vectors = tw.Vectors.of(ids, (kind[:, None] + country).reshape(12, 20))
    questions = [Question("k", f"0{a}", f"1{a}", f"0{c}", f"1{c}") for a in range(6) for c in range(6) if a != c]  # fmt: skip
    assert analogies.evaluate(vectors, questions)["accuracy"].to_list() == [1.0, 1.0]


def test_the_file_of_questions_is_word2vecs(tmp_path):
    path = tmp_path / "questions.txt"
    path.write_text(
        ": family\nking queen man woman\nking queen boy girl\n\n: gram8\ngood better nope worse\n"
    )
    questions = analogies.read_questions(path)
    assert questions[0] == Question("family", "king", "queen", "man", "woman")
    words = ["king", "queen", "man", "woman", "good", "better"]
    vectors = tw.Vectors.of(
        words, [[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 1, 0], [9, 0, 0], [8, 1, 1]]
    )
    found = analogies.evaluate(vectors, questions)
    assert found.rows() == [
        ("family", 2, 1, 1, 1.0),
        ("gram8", 1, 0, 0, None),
        ("all", 3, 1, 1, 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (": a\nking queen man\n", "line 2 .* four ids"),
        (": a\n\n", "no question"),
        ("", "no question"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path, text, match):
    path = tmp_path / "questions.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=match):
        analogies.read_questions(path)
    with pytest.raises(DataError, match="cannot read"):
        analogies.read_questions(tmp_path / "none.txt")


def test_wrong_questions_are_one_sentence():
    vectors = tw.Vectors.of(["a", "b", "c", "d"], np.eye(4))
    with pytest.raises(UnknownIdError, match="did you mean 'a'"):
        analogies.analogy(vectors, "A", "b", "c")
    with pytest.raises(ConfigError, match="method got 'times'"):
        analogies.analogy(vectors, "a", "b", "c", method="times")
    with pytest.raises(ConfigError, match="k must be"):
        analogies.analogy(vectors, "a", "b", "c", k=0)
    with pytest.raises(DataError, match="no question"):
        analogies.evaluate(vectors, [])
    for wrong in ({"pairs": 1}, {"sentences": 0}, {"relations": []}, {"relations": "capital"}):
        with pytest.raises(ConfigError):
            analogies.planted(**wrong)


@pytest.mark.parametrize(
    ("ids", "vectors", "match"),
    [
        (["a", "a"], np.eye(2), "occur twice"),
        (["a"], np.eye(2), "a row for each of 1 ids"),
        (["a", "b"], [[1, np.nan], [0, 1]], "not finite"),
    ],
)
def test_vectors_that_are_none_are_refused(ids, vectors, match):
    with pytest.raises(DataError, match=match):
        tw.Vectors.of(ids, vectors)


def test_own_vectors_keep_their_ids():
    made = tw.Vectors.of(["b", "a"], [[1, 2], [3, 4]])
    assert made["b"].tolist() == [1, 2]
    assert len(made) == 2


def test_vectors_without_direction_are_refused():
    own = tw.Vectors.of(["a", "b", "c", "zero"], [[1, 0], [0, 1], [1, 1], [0, 0]])
    with pytest.raises(DataError, match="the vector of 'zero' is zero and has no direction"):
        analogies.analogy(own, "a", "zero", "b")


def test_questions_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "questions.txt").write_text("\ufeff: capitals\na b c d\n", encoding="utf-8")
    assert analogies.read_questions(tmp_path / "questions.txt")[0].section == "capitals"
