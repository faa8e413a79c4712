"""Words, word hashing, bags and sequences of words against counting by hand and scikit-learn."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from twofold import persistence
from twofold.data.columns import Bag, Number, Text
from twofold.data.convert import column_from_values
from twofold.data.vocabulary import Vocabulary
from twofold.errors import ConfigError, DataError
from twofold.features.text import BagOfWords, WordHashing, WordSequences, collisions
from twofold.features.words import keeps_runs, letter_ngrams, split, tokens, words_of
from twofold.loading import DATA_CLASSES, FEATURE_CLASSES

ANY_TEXT = st.lists(st.one_of(st.none(), st.text(max_size=30)), min_size=1, max_size=8)
LATIN = st.lists(st.text("abc #é東", max_size=20), min_size=1, max_size=8)


def grams(word, n=3):
    """Section 3.2, literally."""
    marked = f"#{word}#"
    if len(marked) < n:
        return Counter([marked])
    return Counter(marked[i : i + n] for i in range(len(marked) - n + 1))


def bag(rows):
    return column_from_values("b", pl.Series("b", rows, dtype=pl.Object), "bag")


def saved(code, tmp_path):
    persistence.save(code, tmp_path / "code", "code")
    return persistence.load(tmp_path / "code", "code", DATA_CLASSES | FEATURE_CLASSES)


ENGLAND, SCOTLAND = (
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(one)) for one in name) + "\U000e007f"
    for name in ("gbeng", "gbsct")
)
"""Flags that are spelt by tags, which are not seen."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n .,;# ", []),
        ("Good  MORNING, it's 12.5", ["good", "morning", "it", "s", "12", "5"]),
        ("ﬁne ｆｕｌｌ", ["fine", "full"]),
        ("Zoë = Zoe\u0308", ["zoë", "zoë"]),
        ("東京 hello", ["東京", "hello"]),
        ("हिन्दी 한국어문장", ["हिन्दी", "한국어문장"]),
        ("体育场在", ["体育", "育场", "场在"]),
        ("我 a東京都2", ["我", "a", "東京", "京都", "2"]),
        ("カーテン ｶﾞｷﾞ人々〇", ["カー", "ーテ", "テン", "ガギ", "ギ人", "人々", "々〇"]),
        ("ภาษาไทย ๒๕๖๗", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย", "๒๕๖๗"]),
        ("น้ำดื่ม", ["น้\u0e4dา", "าดื่", "ดื่ม"]),
        ("ភាសាខ្មែរ ພາສາ", ["ភាសា", "សាខ្", "ខ្មែ", "មែរ", "ພາ", "າສ", "ສາ"]),
        ("မြန်မာ", ["မြန်", "န်မာ"]),
        ("wow😀👍🏽!", ["wow", "😀", "👍🏽"]),
        ("👨‍👩‍👧❤️🇫🇷🇩🇪", ["👨\u200d👩\u200d👧", "❤", "🇫🇷", "🇩🇪"]),
        ("in\u00adfor\u00admation wor\u2060ld", ["information", "world"]),
        ("İSTANBUL istanbul I\u0307zmir i\u0307\u0301", ["istanbul", "istanbul", "izmir", "í"]),
        (f"a {ENGLAND}{SCOTLAND} b", ["a", ENGLAND, SCOTLAND, "b"]),
    ],
)
def test_words_of_any_script(text, expected):
    assert tokens(text) == expected


def test_words_do_not_depend_on_the_neighbours_in_the_column():
    both = words_of(["Plain ASCII", "Ünïcode ASCII"])
    assert both.distinct.ids.to_list() == ["ascii", "plain", "ünïcode"]
    np.testing.assert_array_equal(both.matrix().toarray(), [[1, 1, 0], [1, 0, 1]])


@given(st.one_of(st.text(), st.text("aé1๒字東カーนำ้ខ្មែ가\u200d\u0301 #")), st.booleans())
def test_words_of_words_are_the_same_words(text, whole):
    once = tokens(text, whole=whole)
    assert tokens(" ".join(once), whole=whole) == once


@given(st.text(st.characters(max_codepoint=0xDFF, exclude_categories=["Cs"])))
@example("\u0149 \u02bcn")
def test_texts_of_other_scripts_have_the_words_that_they_had(text):
    assert tokens(text) == tokens(text, whole=True)
    beside = [one for one in tokens(f"{text} 東京都") if one not in ("東京", "京都")]
    assert beside == tokens(text)


def test_a_column_is_cut_text_by_text():
    texts = pl.Series(["red car", None, "東京都", "", "é c", "字 東京都"])
    expected = [["red", "car"], [], ["東京", "京都"], [], ["é", "c"], ["字", "東京", "京都"]]
    assert split(texts).to_list() == expected


def test_letter_ngrams_are_those_of_whole_runs():
    """Word hashing marks both ends of a run: Huang et al. 2013, section 3.2."""
    code = WordHashing(n=3).fit(["東京都"])
    assert code.grams.ids.to_list() == ["#東京", "京都#", "東京都"]
    assert WordSequences().fit(["東京都"]).words.ids.to_list() == ["東京都"]


def test_bags_find_words_inside_runs():
    code = BagOfWords().fit(["東京都", "京都市"])
    found = code.encode(["京都"])
    assert found.rows.toarray().tolist() == [[float(one == "京都") for one in code.words.ids]]
    assert found.n_unknown == 0


def test_a_vocabulary_with_whole_runs_reads_texts_as_it_was_learned():
    """Levels of a list, or words that an earlier version learned."""
    code = BagOfWords().fit(bag([{"東京都": 1}, {"car": 1}]))
    assert code.encode(["東京都 car"]).rows.toarray().tolist() == [[1, 1]]
    for words, kept in ((["東京都"], True), (["a字"], True), (["字a"], True), (["東京", "字", "é"], False)):  # fmt: skip
        assert keeps_runs(Vocabulary.of(words)) is kept
    assert not keeps_runs(Vocabulary.of([1, 2]))


def test_the_paper_s_example():
    counts, found = letter_ngrams(pl.Series(["good"]), 3)
    assert found.ids.to_list() == ["#go", "goo", "od#", "ood"]
    np.testing.assert_array_equal(counts.toarray(), [[1, 1, 1, 1]])


@given(words=st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=9), n=st.integers(1, 9))
def test_ngrams_are_counted_as_by_hand(words, n):
    distinct = sorted({w.replace("\0", "") or "a" for w in words})
    counts, found = letter_ngrams(pl.Series(distinct), n)
    names = found.ids.to_list()
    assert names == sorted(names)
    for row, word in zip(counts.toarray(), distinct, strict=True):
        assert {g: c for g, c in zip(names, row, strict=True) if c} == grams(word, n)


def test_ngrams_too_many_to_pack_into_one_integer():
    words = [chr(0x4E00 + i) * 3 + "abcdefghijklm" for i in range(300)]
    counts, found = letter_ngrams(pl.Series(words), 12)
    assert dict.fromkeys(found.ids) == dict.fromkeys(
        sorted({g for w in words for g in grams(w, 12)})
    )
    assert counts.sum() == sum(grams(w, 12).total() for w in words)


@given(train=ANY_TEXT, new=ANY_TEXT, n=st.integers(1, 4))
def test_word_hashing_counts_what_it_knows_and_what_not(train, new, n):
    train = [*train, "so that there is a word"]
    known = {g for text in train for w in tokens(text or "", whole=True) for g in grams(w, n)}
    found = WordHashing(n=n).fit(train)
    assert set(found.grams.ids) == known
    encoded = found.encode(new)
    assert encoded.rows.dtype == np.float32
    assert encoded.rows.shape == (len(new), len(known))
    for row, text in enumerate(new):
        counted = sum((grams(w, n) for w in tokens(text or "", whole=True)), Counter())
        expected = [counted[g] for g in found.grams.ids]
        np.testing.assert_array_equal(encoded.rows[[row]].toarray()[0], expected)
        assert encoded.unknown[row] == counted.total() - sum(expected)
        assert encoded.total[row] == counted.total()


def test_a_hand_made_vocabulary_collides_where_it_should():
    # Both read a-b-x-a-b-y-a-b in a different order of the same trigrams.
    words = ["abxabyab", "abyabxab", "good", "abxabyab", None]
    found = collisions(words)
    assert (found.n_words, found.n_colliding) == (3, 2)
    assert found.groups == (("abxabyab", "abyabxab"),)
    assert found.n_ngrams == len(set(grams("abxabyab")) | set(grams("good")))
    assert found.share == pytest.approx(2 / 3)
    assert collisions(words, n=4).n_colliding == 0
    assert collisions(["aa", "aaa"], n=1).n_colliding == 0  # counts differ, though the sets do not


def test_cut_offs_of_the_vocabulary():
    texts = ["the cat", "the dog", "the cat sat", "the"]
    assert BagOfWords(min_count=2).fit(texts).words.ids.to_list() == ["cat", "the"]
    assert BagOfWords(max_share=0.5).fit(texts).words.ids.to_list() == ["cat", "dog", "sat"]
    assert BagOfWords(max_words=1).fit(texts).words.ids.to_list() == ["the"]
    assert len(WordHashing(min_count=4).fit(texts).grams) == 3
    assert len(WordHashing(max_grams=2).fit(texts).grams) == 2


@given(train=LATIN, new=LATIN)
def test_tf_idf_is_that_of_scikit_learn(train, new):
    train = [*train, "a word"]
    oracle = TfidfVectorizer(analyzer=tokens, norm="l2", dtype=np.float64).fit(train)
    code = BagOfWords(weight="tfidf", unit_length=True).fit(train)
    assert code.words.ids.to_list() == oracle.get_feature_names_out().tolist()
    np.testing.assert_allclose(
        code.encode(new).rows.toarray(), oracle.transform(new).toarray(), atol=1e-6
    )


@given(texts=LATIN, k1=st.floats(0, 3), b=st.floats(0, 1))
def test_bm25_is_its_formula(texts, k1, b):
    texts = [*texts, "a word"]
    code = BagOfWords(weight="bm25", k1=k1, b=b).fit(texts)
    found = code.encode(texts).rows.toarray()
    lists = [tokens(text) for text in texts]
    mean = np.mean([len(one) for one in lists])
    for i, words in enumerate(lists):
        for j, word in enumerate(code.words.ids):
            tf, held = words.count(word), sum(word in one for one in lists)
            idf = np.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
            score = idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(words) / mean)) if tf else 0
            assert found[i, j] == pytest.approx(score, rel=1e-5)


def test_the_mean_length_of_bm25_counts_known_words_alone():
    """Of three texts only "red" is known: each is of mean length, so that it weighs its idf."""
    texts = ["red car", "red bus stop", "red"]
    found = BagOfWords(weight="bm25", min_count=2).fit(texts).encode(texts).rows.toarray()
    np.testing.assert_allclose(found, np.full((3, 1), np.log(1 + 0.5 / 3.5)), rtol=1e-6)


def test_a_word_that_comes_twice_has_its_ngrams_twice():
    found = WordHashing().fit(["aa"]).encode(["aa aa bb bb"])
    assert found.rows.toarray().tolist() == [[2, 2]]
    assert (found.unknown.tolist(), found.total.tolist()) == ([4], [8])


def test_unknown_words_are_counted():
    code = BagOfWords().fit(["red car"])
    found = code.encode(["blue blue car", None, ""])
    assert found.unknown.tolist() == [2, 0, 0]
    assert found.n_unknown == 2
    assert found.share_unknown == pytest.approx(2 / 3)
    assert code.encode([]).rows.shape == (0, 2)


def test_the_levels_of_a_bag_are_words_with_counts():
    column = bag([{"car": 2.0, "Red": 1.0}, {}, {"car": 1.0}])
    code = BagOfWords().fit(column)
    assert code.words.ids.to_list() == ["Red", "car"]
    np.testing.assert_array_equal(code.encode(column).rows.toarray(), [[1, 2], [0, 0], [0, 1]])
    hashed = WordHashing().fit(column).encode(column)
    np.testing.assert_array_equal(hashed.rows.sum(axis=1), [2 * 3 + 3, 0, 3])
    assert WordSequences().fit(column).encode(column).indptr.tolist() == [0, 2, 2, 3]


def test_integer_tags_are_words():
    column = column_from_values("t", pl.Series([[7, 12], [7]]), "tags")
    assert isinstance(column, Bag)
    assert BagOfWords().fit(column).words.ids.to_list() == ["7", "12"]


@given(train=LATIN, new=LATIN, length=st.one_of(st.none(), st.integers(1, 4)))
def test_sequences_keep_the_order_and_spell_every_word(train, new, length):
    train = ["a word", *train]
    code = WordSequences(min_count=1, max_length=length).fit(train)
    known = code.words.ids.to_list()
    found = code.encode(new)
    table = code.hashing.grams.ids.to_list()
    assert len(found) == len(new)
    n_unknown = 0
    for i, text in enumerate(new):
        words = tokens(text, whole=True)[:length]
        part = slice(found.indptr[i], found.indptr[i + 1])
        expected = [known.index(w) if w in known else len(known) for w in words]
        n_unknown += expected.count(len(known))
        assert found.ids[part].tolist() == expected
        for place, word in zip(found.place[part], words, strict=True):
            spelled = grams(word)
            assert found.ngrams[[place]].toarray()[0].tolist() == [spelled[g] for g in table]
            dropped = spelled.total() - sum(spelled[g] for g in table)
            assert found.unknown_ngrams[place] == dropped
    assert found.n_unknown == n_unknown


@pytest.mark.parametrize("declared", [WordHashing(n=2), BagOfWords(weight="bm25"), WordSequences()])
def test_a_saved_code_encodes_alike(declared, tmp_path):
    code = declared.fit(["Good day 東京", "day"])
    again = saved(code, tmp_path)
    assert again.settings == declared
    one, other = (each.encode(["a good 東 day"]) for each in (code, again))
    matrix = "ngrams" if hasattr(one, "ngrams") else "rows"
    np.testing.assert_array_equal(getattr(one, matrix).toarray(), getattr(other, matrix).toarray())


def test_a_text_of_ten_megabytes():
    text = "the quick brown fox " * 500_000
    code = BagOfWords().fit([text])
    assert code.encode([text]).rows.toarray().tolist() == [[500_000] * 4]


@pytest.mark.parametrize("declared", [WordHashing(), BagOfWords(), WordSequences()])
def test_what_holds_no_words_is_refused(declared):
    with pytest.raises(DataError, match=r"none of the 2 texts holds any .*; check that the column"):
        declared.fit(["", None])
    with pytest.raises(DataError, match="is a number column; words come from text, bag and tags"):
        declared.fit(Number(np.zeros(2, np.float32)))
    with pytest.raises(DataError, match="is a sound column"):
        declared.fit(Text(pl.Series(["a.ogg"]), is_path=True))
    with pytest.raises(DataError, match="got 3 in row 1"):
        declared.fit(["a", 3])
    with pytest.raises(DataError, match="got the single string 'abc'"):
        declared.fit("abc")
    with pytest.raises(DataError, match="text 1 is not valid Unicode"):
        declared.fit(["a", "\ud800"])
    with pytest.raises(DataError, match="series of Int64"):
        declared.fit(pl.Series([1, 2]))


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"BagOfWords.max_share got 1.5"):
        BagOfWords(max_share=1.5)
    with pytest.raises(ConfigError, match="did you mean 'min_count'"):
        BagOfWords(min_counts=1)


@pytest.mark.data
def test_words_of_citeulike():
    """The files are read here, so that a count can be compared with what stands in them."""
    folder = Path(os.environ.get("TWOFOLD_DATA", "")) / "citeulike-t"
    if not os.environ.get("TWOFOLD_DATA") or not folder.is_dir():
        pytest.skip("TWOFOLD_DATA has no citeulike-t")
    words = (folder / "vocabulary.dat").read_text(encoding="utf-8").splitlines()
    lines = (folder / "mult.dat").read_text().splitlines()[:2000]
    pairs = [[one.split(":") for one in line.split()[1:]] for line in lines]
    column = bag([{words[int(word)]: float(count) for word, count in row} for row in pairs])
    found = BagOfWords().fit(column).encode(column)
    total = sum(float(count) for row in pairs for _, count in row)
    assert (found.n_unknown, found.rows.sum(dtype=np.float64)) == (0, total)
    merged = collisions(words)
    assert merged.n_words == 20_000
    assert merged.share < 0.001
