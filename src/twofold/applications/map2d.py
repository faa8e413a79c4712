"""A picture of vectors: neighbours in the space stand beside each other, places on their coordinates.

>>> import twofold as tw
>>> from twofold.applications import map2d
>>> vectors = tw.Vectors.of(["a", "b", "c"], [[1, 0, 0], [1, 0.1, 0], [0, 0, 1]])
>>> drawn = map2d.draw(vectors, method="pca")
>>> drawn.frame().columns
['id', 'label', 'group', 'x', 'y']
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from twofold.applications import _map_page
from twofold.applications._map_labels import OTHER, Groups, given, groups_of, labels_of
from twofold.applications.named import Side, vectors_of
from twofold.data.columns import Vector, kind_of
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.drafts import draft_of, write_page
from twofold.errors import ConfigError, DataError, DataWarning, did_you_mean, need
from twofold.models._base import FittedModel
from twofold.random import generator, kernel_seed
from twofold.typing import F32, F64, I64, Rng
from twofold.vectors import Vectors

__all__ = ["Map", "draw"]

Method = Literal["tsne", "pca", "place"]
METHODS: tuple[Method, ...] = ("tsne", "pca", "place")
SHOWN = 7
"""Groups with a colour of their own; what is left is ``other``."""
MOST = 20_000
"""Largest number of points."""
AXES = 50
"""Principal axes that t-SNE starts from (van der Maaten & Hinton 2008, section 4.2)."""
SAME = 1e-6
"""Standard deviation of coordinates of unit vectors that is rounding alone; t-SNE begins by dividing by it."""
PERPLEXITY = 30.0
"""Neighbours that a point of t-SNE looks at, about; fewer where there are few points."""


@dataclass(frozen=True, eq=False)
class Map:
    """Points with ids, labels and groups."""

    title: str
    note: str
    """How it was made, and what was left out."""
    ids: pl.Series
    labels: tuple[str, ...]
    points: F64  # (n, 2)
    group: tuple[str, ...]
    """The group of each point; empty where there are none."""
    shown: tuple[str, ...]
    """Groups with a colour of their own, the largest first."""

    def __len__(self) -> int:
        return len(self.labels)

    def frame(self) -> pl.DataFrame:
        """Return a row a point: id, label, group (empty without groups), x, y."""
        return pl.DataFrame(
            {
                "id": self.ids,
                "label": self.labels,
                "group": self.group or [""] * len(self),
                "x": self.points[:, 0],
                "y": self.points[:, 1],
            }
        )

    def to_html(self, path: str | Path) -> Path:
        """Write one page that needs no network: points tell what they are, groups and names can be looked for.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        named = [
            (str(one), label, self._colour(at))
            for at, (one, label) in enumerate(zip(self.ids.to_list(), self.labels, strict=True))
        ]
        page = _map_page.page(self.title, self.note, named, self.group, self.points, self.shown)
        return write_page(path, page)

    def to_png(self, path: str | Path, *, width: float = 9.0) -> Path:
        """Write a picture; `width` in inches, at 150 dots an inch. Letters that no font has are told in a warning.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        DataError
            If it cannot be written.
        """
        figure = need("matplotlib.figure", "plots").Figure((width, width * 0.78), dpi=150)
        axes = figure.add_axes((0.02, 0.02, 0.96, 0.9))
        colours = np.array([self._colour(at) for at in range(len(self))], np.int64)
        for colour in sorted(set(colours.tolist()), reverse=True):
            at = colours == colour
            axes.scatter(
                self.points[at, 0],
                self.points[at, 1],
                s=10,
                color=_map_page.INKS[colour],
                label=self.shown[colour] if colour < len(self.shown) else OTHER,
                linewidths=0,
                alpha=0.8,
            )
        if self.shown:
            handles, names = axes.get_legend_handles_labels()
            axes.legend(handles[::-1], names[::-1], loc="best", fontsize=7, markerscale=1.6)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{self.title}\n{self.note}", fontsize=9, loc="left")
        with draft_of(Path(path), "choose another place") as draft:
            _without_glyphs(lambda: figure.savefig(draft, format="png"))
        return Path(path)

    def _colour(self, at: int) -> int:
        """Return the place of a point's colour: that of its group, or the last one."""
        if not self.shown:
            return 0
        return self.shown.index(self.group[at]) if self.group[at] in self.shown else SHOWN


def _without_glyphs(write: Callable[[], None]) -> None:
    """Call matplotlib, and say in one warning which letters it has no glyph for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write()
    missing: dict[str, None] = {}
    for one in caught:
        glyph = re.match(r"Glyph (\d+) ", str(one.message))
        if glyph:
            missing[chr(int(glyph[1]))] = None
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if missing:
        warnings.warn(
            f"the fonts of this machine have no {' '.join(missing)}, which are boxes in the picture; install a font "
            "that has them, or write a page (.html)",
            DataWarning,
            stacklevel=3,
        )


def draw(
    source: FittedModel | Dataset | Vectors,
    *,
    side: Side = "items",
    method: Method | None = None,
    colour: str | None = None,
    groups: Sequence[str] | None = None,
    most: int = 3000,
    rng: Rng = 0,
) -> Map:
    """Draw the vectors of a model, places on their coordinates, or vectors of your own.

    Parameters
    ----------
    source
        A fitted model; a dataset, whose items have a place; or `twofold.Vectors`.
    side
        ``items`` or ``users`` of the model or the dataset.
    method
        ``tsne`` (van der Maaten & Hinton 2008), on unit vectors, so that neighbours are those by cosine;
        ``pca``; ``place``, latitude and longitude as they are. None = ``place`` where there is such a
        feature, ``tsne`` otherwise.
    colour
        The feature (a category, tags or a bag) to colour by; of several tags the first in their order, of a bag the
        most frequent. None = the first such feature; ``""`` = none.
    groups
        In place of `colour`, a name for each of your own vectors, in the order of ``source.tokens.ids``.
    most
        Points, 2 ... 20,000; of more, so many are drawn at random, and the note says so.
    rng
        Seed or generator of the sample and of t-SNE.

    Raises
    ------
    ConfigError
        If an argument is none of those allowed, or the feature does not exist.
    DataError
        If there are fewer than two points.
    MissingDependencyError
        If scikit-learn is not installed.
    """
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or not 2 <= most <= MOST:
        raise ConfigError(f"most must be an integer 2 ... {MOST:,}; got {most!r}")
    if side not in ("items", "users"):
        raise ConfigError(f"side got {side!r}; {did_you_mean(side, ('items', 'users'))}")
    if method is not None and method not in METHODS:
        raise ConfigError(f"method got {method!r}; {did_you_mean(method, METHODS)}")
    random = generator(rng)
    entities = source.items if isinstance(source, Vectors) else getattr(source, side)
    place = _place(entities)
    if method is None:
        method = "place" if place is not None else "tsne"
    grouped = groups_of(entities, colour) if groups is None else Groups("", given(groups, entities))
    vectors = None if method == "place" else _vectors(source, side)
    usable = _usable(place if vectors is None else vectors, side, lies=vectors is None)
    rows, counted = _sample(usable, len(entities), int(most), side, random)
    if vectors is None:
        points, said = _projected(np.asarray(place, np.float64)[rows]), "on their coordinates"
    else:
        points, said = _laid_out(vectors[rows], method, random)
    chosen = [grouped.names[row] for row in rows.tolist()] if grouped.names else []
    held = pl.Series(chosen, dtype=pl.String)
    common = (
        held.filter(held != OTHER).value_counts(name="n").sort(["n", ""], descending=[True, False])
    )
    name = type(source.estimator).__name__ if isinstance(source, FittedModel) else ""
    colours = f", coloured by {grouped.feature}" if grouped.feature else ""
    return Map(
        title=f"{side.capitalize()} {'of ' + name + ' ' if name else ''}{said}",
        note=f"{counted}{colours}.",
        ids=entities.ids.ids.gather(pl.Series(rows, dtype=pl.UInt32)),
        labels=labels_of(entities, rows),
        points=points,
        group=tuple(chosen),
        shown=tuple(common[""].head(SHOWN).to_list()),
    )


def _vectors(source: FittedModel | Dataset | Vectors, side: Side) -> F32 | csr_array:
    if isinstance(source, Dataset):
        raise ConfigError(
            f"the {side} of a dataset have no vectors; give a fitted model, or {side} with a place feature"
        )
    own = vectors_of(source, side) if isinstance(source, FittedModel) else source
    return own.unit


def _place(entities: Entities) -> F32 | F64 | None:
    found = [one for one in entities.features.values() if kind_of(one) == "place"]
    return found[0].values if found and isinstance(found[0], Vector) else None


def _usable(values: F32 | F64 | csr_array | None, side: Side, *, lies: bool) -> I64:
    """Return the rows that can be drawn: vectors that are not zero, or places (`lies`) that are known."""
    if values is None:
        raise ConfigError(f"the {side} have no place feature; take method='tsne' or 'pca'")
    if isinstance(values, csr_array):
        squares = np.asarray(values.multiply(values).sum(axis=1)).ravel()
        return np.flatnonzero(squares > 0)
    return np.flatnonzero(np.isfinite(values).all(axis=1) & (lies | (values != 0).any(axis=1)))


def _sample(
    usable: I64, n: int, most: int, side: Side, rng: np.random.Generator
) -> tuple[I64, str]:
    """Return the rows to draw, ascending, and what is said of them."""
    if len(usable) < 2:
        raise DataError(f"{len(usable)} of {n:,} {side} can be drawn; a map needs at least two")
    said = f"{len(usable):,} {side}"
    if len(usable) < n:
        said += f"; {n - len(usable):,} have no vector or no place and are left out"
    if len(usable) > most:
        usable = np.sort(rng.choice(usable, most, replace=False))
        said = f"{most:,} of {said}, drawn at random"
    return usable, said


def _projected(place: F64) -> F64:
    """Return latitude and longitude (n, 2) as x and y, true to scale in the middle of the map.

    The map is cut where the widest strip of longitudes is empty, so that a town on the date line stays whole.
    """
    latitude, longitude = place[:, 0], place[:, 1]
    there = np.unique(longitude)
    empty = np.diff(there, append=there[0] + 360)
    west = there[(int(empty.argmax()) + 1) % len(there)]
    east = np.where(longitude < west, longitude + 360, longitude)
    return np.column_stack([east * np.cos(np.radians(latitude.mean())), latitude])


def _laid_out(
    vectors: F32 | csr_array, method: Method, rng: np.random.Generator
) -> tuple[F64, str]:
    """Return places (n, 2) of unit vectors (n, d), and by which method."""
    learned = need("sklearn.decomposition", "learn")
    n, d = len_of(vectors)
    if _spread(vectors) <= SAME:
        return np.zeros((n, 2)), "at one point, as all their vectors point the same way"
    seed = kernel_seed(rng)
    few = n < 5
    axes = 2 if method == "pca" or few else AXES
    if isinstance(vectors, csr_array):
        width = min(axes, n - 1, d - 1)
        reduced = learned.TruncatedSVD(width, random_state=seed).fit_transform(vectors)
    else:
        reduced = learned.PCA(min(axes, n, d), random_state=seed).fit_transform(
            vectors.astype(np.float64)
        )
    made = np.asarray(reduced, np.float64)
    if made.shape[1] < 2:
        made = np.column_stack([made, np.zeros((n, 2 - made.shape[1]))])
    if method == "pca" or few:
        return made[:, :2], "by their two principal axes"
    tsne: Any = need("sklearn.manifold", "learn").TSNE(
        perplexity=min(PERPLEXITY, (n - 1) / 3), init="pca", random_state=seed
    )
    return np.asarray(tsne.fit_transform(made), np.float64), "by t-SNE"


def _spread(vectors: F32 | csr_array) -> float:
    """Return the largest standard deviation of a coordinate."""
    if isinstance(vectors, np.ndarray):
        return float(vectors.std(axis=0, dtype=np.float64).max())
    exact = vectors.astype(np.float64)
    squares = np.asarray(exact.multiply(exact).mean(axis=0)) - np.asarray(exact.mean(axis=0)) ** 2
    return float(np.sqrt(max(squares.max(), 0)))


def len_of(vectors: F32 | csr_array) -> tuple[int, int]:
    """Return the shape of vectors (n, d)."""
    n, d = vectors.shape or (0, 0)
    return int(n), int(d)
