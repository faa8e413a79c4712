"""Which column of an accompanying file has the ids."""

import pytest

import twofold as tw
from twofold.data.beside import key_column


@pytest.mark.parametrize(
    ("names", "key", "role", "found"),
    [
        (["stock", "id", "title"], "movieId", "item", "id"),
        (["artist_id", "song_id", "title"], "song", "item", "song_id"),
        (["artist", "Movie-ID"], "movieId", "item", "Movie-ID"),
        (["age", "customer"], "user", "user", "customer"),
        (["age", "id"], "user_id", "user", "id"),
        (["stock", "title"], "movieId", "item", None),
        (["code", "no"], "id", "item", None),
    ],
)
def test_the_ids_are_in_the_column_whose_name_is_nearest(names, key, role, found):
    assert key_column(names, key, role) == found


def test_items_are_joined_by_their_id_and_not_by_the_first_number(tmp_path):
    (tmp_path / "log.csv").write_text("userId,movieId\n1,0\n1,1\n2,1\n")
    (tmp_path / "items.csv").write_text("stock,id,title\n1,0,red thing\n0,1,blue thing\n")
    data = tw.Dataset.read(tmp_path / "log.csv", items=tmp_path / "items.csv")
    titles = dict(data.frame("items").select("item", "title").rows())
    assert titles == {0: "red thing", 1: "blue thing"}
