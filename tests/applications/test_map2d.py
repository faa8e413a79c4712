"""Maps: what is drawn, what is left out and said, and pages that need nothing else."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import twofold as tw
from twofold.applications import _map_page, map2d
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.testing import planted_log


def city(n=60):
    rng = np.random.default_rng(0)
    place = np.column_stack([40.7 + rng.normal(0, 0.1, n), -74 + rng.normal(0, 0.1, n)])
    place[3] = np.nan
    return tw.Dataset.from_frames(
        {"u": rng.integers(0, 20, 300), "i": rng.integers(0, n, 300)}, user="u", item="i",
        items={"i": range(n), "name": [f"<Bar> & {at}" for at in range(n)], "place": list(place),
               "kind": [f"k{at % 10}" for at in range(n)]},
        item_features={"name": "text", "place": "place", "kind": "category"},
    )  # fmt: skip


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize("sparse", [True, False])
def test_equal_vectors_are_one_point_and_said_to_be(method, sparse):
    vectors = np.tile([[3.0, 1.0, 2.0]], (40, 1)) * np.arange(1, 41)[:, None]
    log = {"u": np.repeat(np.arange(40), 3), "i": np.tile(np.arange(3), 40)}
    source = (
        tw.models.ItemKNN().fit(tw.Dataset.from_frames(log, user="u", item="i"))
        if sparse
        else tw.Vectors.of([f"t{one}" for one in range(40)], vectors)
    )
    drawn = map2d.draw(source, method=method, side="users" if sparse else "items")
    assert "at one point" in drawn.title
    assert np.ptp(drawn.points, axis=0).max() < 1e-5


def test_a_town_on_the_date_line_stays_whole():
    places = [[-18.1, 179.9], [-18.2, -179.9], [-18.0, 179.8], [38.7, -9.1]]
    items = {"i": ["east", "west", "more", "far"], "place": places}
    log = {"u": [1, 1, 1, 1], "i": items["i"]}
    data = tw.Dataset.from_frames(
        log, user="u", item="i", items=items, item_features={"place": "place"}
    )
    x = dict(map2d.draw(data).frame()["label", "x"].iter_rows())
    scale = np.cos(np.radians(np.mean([one for one, _ in places])))
    assert x["west"] - x["east"] == pytest.approx(0.2 * scale)
    assert x["far"] - x["west"] == pytest.approx((-9.1 + 179.9) * scale)


def test_places_stand_on_their_coordinates():
    data = city()
    drawn = map2d.draw(data)
    known = np.array(data.items.features["place"].values)
    rows = data.items.ids.rows(drawn.ids)
    assert 3 not in rows
    np.testing.assert_allclose(drawn.points[:, 1], known[rows, 0])
    scale = np.cos(np.radians(known[rows, 0].mean()))
    np.testing.assert_allclose(drawn.points[:, 0], known[rows, 1] * scale)
    assert "1 have no vector or no place and are left out" in drawn.note
    assert len(drawn.shown) == map2d.SHOWN
    assert drawn.frame()["label"][0] == "<Bar> & 0"


def clusters(n=90, d=12):
    rng = np.random.default_rng(0)
    middle = np.repeat(rng.normal(size=(3, d)), n // 3, axis=0)
    return tw.Vectors.of([f"w{at:02}" for at in range(n)], middle + 0.15 * rng.normal(size=(n, d)))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_neighbours_stand_beside_each_other(method):
    groups = [str(at // 30) for at in range(90)]
    drawn = map2d.draw(clusters(), method=method, groups=groups)
    apart = np.linalg.norm(drawn.points[:, None] - drawn.points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    near = apart.argmin(axis=1)
    assert [drawn.group[at] for at in near] == list(drawn.group)


def test_principal_axes_are_those_of_the_singular_value_decomposition():
    vectors = clusters()
    drawn = map2d.draw(vectors, method="pca")
    unit = vectors.vectors / np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    for axis in range(2):
        wanted = u[:, axis] * s[axis]
        sign = np.sign(wanted @ drawn.points[:, axis])
        np.testing.assert_allclose(drawn.points[:, axis], sign * wanted, atol=1e-4)


def test_the_same_seed_gives_the_same_map():
    one, other = (map2d.draw(clusters(), method="tsne", most=40, rng=5) for _ in range(2))
    np.testing.assert_array_equal(one.points, other.points)
    assert one.ids.to_list() == other.ids.to_list()
    assert one.note == "40 of 90 items, drawn at random."


def test_models_are_drawn_by_what_their_items_are():
    log = planted_log()
    dense = tw.models.IALS(factors=4).fit(log, rng=0)
    sparse = tw.models.EASE().fit(log)
    for model in (dense, sparse):
        drawn = map2d.draw(model, method="pca", most=20)
        assert len(drawn) == 20
        assert type(model.estimator).__name__ in drawn.title
    assert map2d.draw(dense, side="users", method="pca", colour="").shown == ()


def test_vectors_of_zeros_are_left_out():
    vectors = np.eye(6)
    vectors[2] = 0
    drawn = map2d.draw(tw.Vectors.of(list(range(6)), vectors), method="pca")
    assert drawn.ids.to_list() == [0, 1, 3, 4, 5]
    assert "1 have no vector" in drawn.note


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_few_points_are_a_map_too(n):
    drawn = map2d.draw(tw.Vectors.of(list(range(n)), np.eye(n)), method="tsne")
    assert np.isfinite(drawn.points).all()
    assert np.isfinite(_map_page.scaled(drawn.points)).all()


class Reader(HTMLParser):
    """Collects tags, and the texts of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts, self.kind = [], {}, None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.kind = (dict(attrs).get("type") or "script") if tag == "script" else None

    def handle_data(self, data):
        if self.kind:
            self.scripts[self.kind] = data


def test_the_page_stands_alone_and_can_be_reached(tmp_path):
    drawn = map2d.draw(city())
    page = drawn.to_html(tmp_path / "map.html").read_text(encoding="utf-8")
    read = Reader()
    read.feed(page)
    assert not re.search(r"(src|href)=|https?://|@import|url\(", page)
    assert "prefers-color-scheme:dark" in page
    svg = next(attrs for tag, attrs in read.tags if tag == "svg")
    assert svg["tabindex"] == "0"
    assert "Arrow keys" in svg["aria-label"]
    assert any(attrs.get("aria-live") == "polite" for _, attrs in read.tags)
    points = json.loads(read.scripts["application/json"])
    assert [one[0] for one in points] == [str(one) for one in drawn.ids]
    assert points[0][1] == "<Bar> & 0"
    circles = [attrs for tag, attrs in read.tags if tag == "circle"]
    assert len(circles) == len(drawn)
    assert all(0 <= float(one["cx"]) <= _map_page.WIDTH for one in circles)
    assert all(0 <= float(one["cy"]) <= _map_page.HEIGHT for one in circles)
    assert "<Bar>" not in page
    ET.fromstring(re.search(r"<svg.*?</svg>", page, re.S)[0])
    buttons = [attrs for tag, attrs in read.tags if tag == "button" and "data-group" in attrs]
    assert len(buttons) == map2d.SHOWN + 1


def test_a_label_cannot_end_the_script(tmp_path):
    data = tw.Dataset.from_frames(
        {"u": [1, 2, 2], "i": [1, 2, 3]}, user="u", item="i",
        items={"i": [1, 2, 3], "name": ["</script><script>alert(1)</script>", "<!--", None],
               "place": [[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]]},
        item_features={"name": "text", "place": "place"},
    )  # fmt: skip
    page = map2d.draw(data).to_html(tmp_path / "map.html").read_text()
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<!--" not in page


def test_a_picture_is_a_png(tmp_path):
    path = map2d.draw(city()).to_png(tmp_path / "deep" / "map.png", width=3)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"most": 1}, "most must be"),
        ({"side": "places"}, "side got 'places'"),
        ({"method": "umap"}, "method got 'umap'"),
        ({"colour": "knd"}, "did you mean 'kind'"),
        ({"colour": "name"}, "'name' is a text"),
        ({"method": "pca"}, "have no vectors"),
        ({"side": "users"}, "have no vectors"),
        ({"groups": ["a"]}, "a list of 60 names"),
    ],
)
def test_a_wrong_map_is_refused(said, match):
    with pytest.raises(ConfigError, match=match):
        map2d.draw(city(), **said)


def test_one_point_is_no_map(tmp_path):
    with pytest.raises(DataError, match="at least two"):
        map2d.draw(tw.Vectors.of(["a", "b"], [[0, 0], [1, 0]]))
    with pytest.raises(ConfigError, match="no place feature"):
        map2d.draw(clusters(), method="place")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        map2d.draw(city()).to_html(tmp_path / "file" / "map.html")


def test_letters_without_a_glyph_are_told_once(tmp_path):
    vectors = tw.Vectors.of(["a", "b", "c"], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    drawn = replace(map2d.draw(vectors, method="pca"), title="\U000f0000 and \U000f0001")
    with pytest.warns(DataWarning, match="have no \U000f0000 \U000f0001, which are boxes") as said:
        drawn.to_png(tmp_path / "map.png")
    assert len(said) == 1
