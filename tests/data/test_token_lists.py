"""Plain lists of tokens as a dataset."""

import pytest

import twofold as tw
from twofold.errors import DataError

from_sequences = tw.datasets.from_sequences


def test_the_order_of_tokens_and_empty_sequences_are_kept():
    data = from_sequences([["b", "a", "b"], [], ("c",), iter("ab")])
    events = data.interactions
    assert events.indptr.tolist() == [0, 3, 3, 4, 6]
    assert [data.items.ids[row] for row in events.item] == ["b", "a", "b", "c", "a", "b"]
    assert data.users.ids.ids.to_list() == [0, 1, 2, 3]
    assert not events.has_value
    assert events.time is None


def test_integers_and_names_are_the_callers():
    data = from_sequences([[7, 5], [5]], names=["x", "a"])
    assert data.users.ids.ids.to_list() == ["x", "a"]
    assert data.items.ids.ids.to_list() == [5, 7]
    assert data.frame()["user"].to_list() == ["x", "x", "a"]


def test_no_sequences_are_an_empty_log():
    data = from_sequences([])
    assert (data.n_users, data.n_items, len(data)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("given", "names", "said"),
    [
        (["a b c"], None, "text.split"),
        ([["a"], ["b", None]], None, "sequence 1 has a token that is missing"),
        ([["a", 1]], None, "mixes"),
        ([["a"], ["b"]], ["x"], "1 names for 2 sequences"),
        ([["a"], ["b"]], ["x", "x"], "'x' is given to more than one"),
        ([["a"], ["b"]], ["x", None], "names for 2 sequences"),
    ],
)
def test_what_is_no_sequence_is_refused_in_a_sentence(given, names, said):
    with pytest.raises(DataError, match=said) as refused:
        from_sequences(given, names=names)
    assert "\n" not in str(refused.value)
