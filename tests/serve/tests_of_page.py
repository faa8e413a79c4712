"""Logs and models that the tests of the page share."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np

import twofold as tw
from twofold.hyperparameters import hyperparameters
from twofold.models._base import Memory

SCRIPT = "<script>window.hacked=1</script>"
IMAGE = '"><img src=x onerror="window.hacked=2">'
QUOTES = "'; DROP TABLE events; -- \" & <b>"
HOSTILE = [SCRIPT, IMAGE, QUOTES, "{{ 7 * 7 }}", "../../models", "a/b?c#d"]


def hostile_log():
    """A log in which ids, titles, tags and users are attacks."""
    items = [*HOSTILE, *(f"i{at}" for at in range(24))]
    titles = [IMAGE, SCRIPT, "Robert'); --", QUOTES, SCRIPT, "Plain", *(f"Title {at}" for at in range(24))]  # fmt: skip
    tags = [[SCRIPT, "drama"] if at % 2 else ["comedy"] for at in range(len(items))]
    users = [SCRIPT, QUOTES, *(f"u{at}" for at in range(30))]
    rng = np.random.default_rng(0)
    pairs = [(user, item) for user in users for item in rng.choice(items, 9, replace=False)]
    return tw.Dataset.from_frames(
        {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]},
        user="user",
        item="item",
        items={"item": items, "title": titles, "genres": tags, "year": [1990.0 + at for at in range(len(items))]},
        item_features={"title": "text", "genres": "tags", "year": "number"},
    )  # fmt: skip


@hyperparameters
class Hears:
    """Lists by the letters that people say."""

    weight: float = 1.0
    """Of the letters."""

    def fit(self, train, *, validation=None, rng=None):
        return HearsFitted(estimator=self, memory=Memory.of(train))


@dataclass(frozen=True, eq=False, kw_only=True)
class HearsFitted(tw.FittedModel):
    """Letters of ids."""

    reads_text = True

    @property
    def item_vectors(self):
        return letters([str(one) for one in self.items.ids.ids.to_list()])

    def fold_in(self, histories):
        out = np.zeros((len(histories), 26), np.float32)
        for row in range(len(histories)):
            span = slice(histories.indptr[row], histories.indptr[row + 1])
            out[row] = self.item_vectors[histories.item[span]].sum(0)
        return out

    def encode_features(self, queries):
        return letters(queries.text.values.to_list())


def letters(words):
    made = [np.bincount([ord(c) - 97 for c in one.lower() if "a" <= c <= "z"], minlength=26) for one in words]  # fmt: skip
    return np.array(made, np.float32) + np.float32(0.01)


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value) for name, value in attrs)
        self.ids.extend(value for name, value in attrs if name == "id")


def safe(response, status=200):
    """Check what every page and fragment must be; return its text."""
    assert response.status_code == status, response.text
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert response.headers["content-type"].startswith("text/html")
    return clean(response.text)


def clean(text):
    """Check that nothing of the data became HTML, and nothing is asked of elsewhere; return the text."""
    found = Tags(text)
    names = {name for _, name, _ in found.attributes}
    assert not {one for one in names if one.startswith("on")}, "a handler in the page"
    assert "style" not in names, "the policy forbids it"
    assert not {"iframe", "object", "embed", "style"} & set(found.tags)
    for tag, name, value in found.attributes:
        if name in {"src", "href"}:
            assert value.startswith(("/", "#")), value
            assert not value.startswith("//"), value
        if tag == "img":
            assert (name, value) != ("src", "x")
    assert len(found.ids) == len(set(found.ids)), "an id twice"
    if "<html" not in text:
        assert "script" not in found.tags
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    return text
