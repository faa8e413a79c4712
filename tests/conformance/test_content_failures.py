"""The checks of content see what is wrong with a model that claims to read it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import twofold as tw
from twofold.hyperparameters import hyperparameters
from twofold.testing.content import (
    check_items_known_by_content,
    check_people_known_by_words_or_features,
)


@hyperparameters
class Taste:
    """One number an item: 1 for even, -1 for odd, by its title; with a fault of choice."""

    fault: str = ""
    """Which one."""

    def fit(self, train, *, validation=None, rng=None):
        del validation, rng
        titles = train.items.features["title"].series()
        return FittedTaste(
            estimator=self, memory=tw.Memory.of(train), side=sides(titles, self.fault)
        )


def sides(words, fault):
    made = np.array([[0.0 if not one else 1.0 if "even" in one else -1.0] for one in words])
    return np.where(made == 0, np.nan if fault == "nan" else 0, made).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedTaste(tw.FittedModel):
    """Known by words."""

    reads_content: ClassVar[bool] = True
    reads_text: ClassVar[bool] = True

    side: np.ndarray

    @property
    def item_vectors(self):
        return self.side

    def fold_in(self, histories):
        lengths = histories.lengths
        who = np.repeat(np.arange(len(lengths)), lengths)
        total = np.bincount(who, self.side[histories.item, 0], len(lengths))
        return (total / np.maximum(lengths, 1)).astype(np.float32)[:, None]

    def encode_items(self, items):
        return sides(items.features["title"].series(), self.estimator.fault)

    def encode_features(self, queries):
        said = queries.text.series().to_list()
        return sides(["even"] * len(said) if self.estimator.fault == "deaf" else said, "")

    def with_items(self, items):
        return self if self.estimator.fault == "forgets" else super().with_items(items)


def test_a_sound_model_passes():
    check_items_known_by_content(Taste())
    check_people_known_by_words_or_features(Taste())


@pytest.mark.parametrize(
    ("fault", "said"), [("nan", "missing from a list"), ("forgets", "longer model")]
)
def test_faults_of_new_items_are_named(fault, said):
    with pytest.raises(AssertionError, match=said):
        check_items_known_by_content(Taste(fault=fault))


def test_a_model_that_does_not_listen_is_named():
    with pytest.raises(AssertionError, match="got the same list"):
        check_people_known_by_words_or_features(Taste(fault="deaf"))
