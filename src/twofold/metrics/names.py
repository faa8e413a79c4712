"""The names of the metrics, with their definitions and denominators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twofold.errors import ConfigError, nearest

Family = Literal["list", "curve", "beyond", "rating"]

DEFINITIONS: dict[str, tuple[Family, str]] = {
    "precision": ("list", "hits in the first k / k"),
    "recall": ("list", "hits in the first k / all relevant items of the user"),
    "recall_capped": ("list", "hits in the first k / min(k, relevant items of the user)"),
    "f1": (
        "list",
        "2 x hits in the first k / (k + all relevant items of the user): the harmonic mean of precision and recall",
    ),
    "hit": ("list", "1 if any of the first k is relevant, else 0"),
    "map": (
        "list",
        "sum of the precisions at the places of the hits in the first k / min(k, relevant items)",
    ),
    "ndcg": (
        "list",
        "sum of 1 / log2(place + 1) over the hits in the first k / the same sum of an ideal list",
    ),
    "mrr": ("list", "1 / place of the first hit if it is among the first k, else 0"),
    "auc": (
        "curve",
        "share of (relevant, other) pairs of candidates in the right order, ties counting half",
    ),
    "coverage": ("beyond", "distinct items in all lists of length k / items of the catalogue"),
    "novelty": (
        "beyond",
        "mean over the first k of -log2((training events of the item + 1) / (users + 1)), in bits",
    ),
    "popularity_bias": (
        "beyond",
        "mean over the first k of the share of the other catalogue items with fewer training events",
    ),
    "gini": (
        "beyond",
        "Gini coefficient of how often each catalogue item is listed in the first k",
    ),
    "diversity": ("beyond", "1 - mean cosine of the item vectors of all pairs in the first k"),
    "rmse": ("rating", "square root of the mean squared error over all held-out ratings"),
    "mae": ("rating", "mean absolute error over all held-out ratings"),
}
"""Name -> family and definition. Means are over users with at least one relevant item."""
WITHOUT_CUT = ("auc", "rmse", "mae")
"""Metrics that have no @k."""
LOWER_IS_BETTER = ("rmse", "mae", "popularity_bias", "gini")
"""Metrics of which less is better."""
LONGEST = 10_000
"""Largest k."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with its cut-off."""

    base: str
    k: int | None
    family: Family

    @property
    def name(self) -> str:
        """The printed name, with the cut-off: ``ndcg@10``."""
        return self.base if self.k is None else f"{self.base}@{self.k}"

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better."""
        return self.base not in LOWER_IS_BETTER

    @property
    def definition(self) -> str:
        """What it is, with its denominator."""
        return DEFINITIONS[self.base][1]


def parse(name: str) -> Metric:
    """Read the name of a metric.

    Raises
    ------
    ConfigError
        If it is no text, there is no such metric, or the cut-off is missing, superfluous or not 1 ... 10,000.

    Example
    -------
    >>> parse("ndcg@10").k
    10
    """
    if not isinstance(name, str):
        raise ConfigError(f"a metric is a name such as 'ndcg@10'; got {name!r}")
    base, at, cut = name.partition("@")
    if base not in DEFINITIONS:
        forms = [one if one in WITHOUT_CUT else f"{one}@k" for one in DEFINITIONS]
        word = base.rstrip("0123456789")
        near = nearest(word, DEFINITIONS)
        written = f"@{cut or base[len(word) :] or 10}" if near not in WITHOUT_CUT else ""
        hint = f"; did you mean '{near}{written}'?" if near else ""
        raise ConfigError(f"there is no metric {name!r}; allowed: {', '.join(forms)}{hint}")
    family = DEFINITIONS[base][0]
    if base in WITHOUT_CUT:
        if at:
            raise ConfigError(f"metric {base!r} has no cut-off; got {name!r}: write {base!r}")
        return Metric(base, None, family)
    if not cut.isdecimal() or not 1 <= int(cut) <= LONGEST:
        raise ConfigError(
            f"metric {base!r} needs a cut-off 1 ... {LONGEST}; got {name!r}: write '{base}@10'"
        )
    return Metric(base, int(cut), family)
