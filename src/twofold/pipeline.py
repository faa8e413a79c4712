"""Several models as one: candidates of each, their union, a ranker, filters and variety.

The two stages of Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations",
RecSys, section 2: models that cheaply name a few hundred items of the whole catalogue, then one that
orders those few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array

from twofold.candidates import best_of, fuse, narrowed, score_candidates
from twofold.data.dataset import Dataset
from twofold.data.entities import Entities
from twofold.data.interactions import Histories
from twofold.data.queries import Queries
from twofold.data.vocabulary import UNKNOWN
from twofold.errors import ConfigError, DataError
from twofold.expected import check_fitted
from twofold.hyperparameters import Search, hyperparameters
from twofold.impressions import learns, shown_lists
from twofold.models._added import known_part, new_items
from twofold.models._base import FittedModel
from twofold.models._parts import estimator_of, same_training, table_of, tables_of, taken
from twofold.models._shown import named_scores
from twofold.models._together import Together, ranker_first
from twofold.random import generator
from twofold.rank import FALLBACK, Encoded, ReadsCandidates, rank_block
from twofold.typing import F32, I32, U8, Rng
from twofold.variety import diversify


def candidate_tables(parts: Any) -> tuple[dict[str, Any], ...]:
    """Return the candidate models as tables."""
    return tables_of(parts, "Pipeline.candidates")


def ranker_table(part: Any) -> dict[str, Any] | None:
    """Return the ranker as a table, None where there is none."""
    return None if part is None else table_of(part, "Pipeline.ranker")


@hyperparameters
class Pipeline:
    """Name candidates with several models, order their union with one, and mix the list.

    Without a ranker the lists are merged by reciprocal rank fusion (Cormack et al. 2009).

    Example
    -------
    >>> import twofold as tw
    >>> two = tw.Pipeline(candidates=[tw.models.IALS(factors=4), tw.models.EASE()], depth=20)
    >>> model = two.fit(tw.testing.planted_log(), rng=0)
    >>> model.recommend(histories=[["i1", "i5", "i9"]], k=3).height
    3
    """

    candidates: Annotated[Sequence[Any], BeforeValidator(candidate_tables)] = ()
    """The models that name candidates; estimators, kept as tables with the class under ``model``."""
    ranker: Annotated[Any, BeforeValidator(ranker_table)] = None
    """The model that orders the union; None merges the lists by reciprocal rank fusion."""
    depth: Annotated[PositiveInt, Search(50, 500, log=True)] = 200
    """Candidates of each model; no list is longer than the union."""
    lists: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Last share of the log over which the candidate models, fitted on what came before, make the lists that a ranker
    learns from (`YouTubeRanker`), if the log has times and says nothing of what was passed by; 0 = from the log alone."""
    smoothing: NonNegativeFloat = 60.0
    """What reciprocal rank fusion adds to every rank; the paper's k."""
    diversity: Annotated[float, Field(ge=0, le=1), Search(0, 0.5)] = 0.0
    """Weight of variety in maximal marginal relevance, the paper's 1 - lambda; 0 keeps the order."""

    def fit(
        self, train: Dataset, *, validation: Dataset | None = None, rng: Rng = None
    ) -> FittedPipeline:
        """Fit every part on the same training set; in front of a ranker of impressions, candidate models on what was taken of them.

        Raises
        ------
        ConfigError
            If there are no candidate models, or a part is not a model of ``twofold.models``.
        DataError
            If a part cannot be fitted to this training set.
        """
        tables = [*self.candidates, *([] if self.ranker is None else [self.ranker])]
        parts = [estimator_of(one, "Pipeline") for one in tables]
        if not self.candidates:
            raise ConfigError(NO_CANDIDATES)
        seed = int(generator(rng).integers(2**31))
        n, first = len(self.candidates), (train, validation)
        if self.ranker is not None and learns(parts[-1]) and (train.interactions.value == 0).any():
            first = taken(train), taken(validation)
        fitted = [one.fit(first[0], validation=first[1], rng=seed) for one in parts[:n]]
        found = [replace(one, memory=fitted[0].memory) for one in fitted]  # one copy in memory
        if self.ranker is None:
            return FittedPipeline(estimator=self, memory=found[0].memory, candidates=tuple(found), ranker=None)  # fmt: skip
        ranker = self.fit_ranker(parts, train, validation, seed)
        if first[0] is train:
            ranker = replace(ranker, memory=found[0].memory)
        return FittedPipeline(estimator=self, memory=ranker.memory, candidates=tuple(found), ranker=ranker)  # fmt: skip

    def fit_ranker(
        self, parts: Sequence[Any], train: Dataset, validation: Dataset | None, seed: int
    ) -> FittedModel:
        """Fit the last of `parts`: on lists of the others, where `lists` says so."""
        ranker, events = parts[-1], train.interactions
        if not learns(ranker) or not self.lists or events.time is None or (events.value == 0).any():
            return ranker.fit(train, validation=validation, rng=seed)
        shown = shown_lists(parts[:-1], train, self.lists, self.depth, seed)
        return ranker.fit(train, validation=validation, rng=seed, shown=shown)

    @classmethod
    def join(
        cls,
        candidates: Sequence[FittedModel],
        ranker: FittedModel | None = None,
        *,
        depth: int = 200,
        smoothing: float = 60.0,
        diversity: float = 0.0,
    ) -> FittedPipeline:
        """Make a pipeline of fitted models of one training set.

        Raises
        ------
        ConfigError
            If there are no candidate models, or a part is not a fitted model.
        DataError
            If the parts remember different training sets.
        """
        parts = [*candidates, *([] if ranker is None else [ranker])]
        if not candidates:
            raise ConfigError(NO_CANDIDATES)
        for one in parts:
            check_fitted(one, "Pipeline.join")
        estimator = cls(
            candidates=[one.estimator for one in candidates],
            ranker=None if ranker is None else ranker.estimator,
            depth=depth,
            smoothing=smoothing,
            diversity=diversity,
        )
        longest = max(ranker_first(parts, ranker), key=lambda one: len(one.items))
        made = FittedPipeline(
            estimator=estimator,
            memory=longest.memory,
            candidates=tuple(candidates),
            ranker=ranker,
        )
        made.verify()
        return made


NO_CANDIDATES = (
    "Pipeline has no candidates; name at least one model, for example candidates=[IALS()]"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedPipeline(Together):
    """The fitted parts. Scores, predictions and explanations are those of the ranker.

    Without a ranker a query's vector holds the fused scores of its candidates, used items among
    them, and the item vectors are unit vectors. Likeness is that of the first candidate model. A query that the ranker
    cannot map is answered in the fused order. ``source`` is that of the candidate model that knew most.
    """

    candidates: tuple[FittedModel, ...]
    ranker: FittedModel | None

    def __post_init__(self) -> None:
        """Read of people and items what the parts read."""
        super().__post_init__()
        content = any(one.reads_content for one in self.candidates)
        ranks = self.ranker is None or self.ranker.reads_content
        object.__setattr__(self, "reads_content", content and ranks)
        rates = self.ranker is not None and self.ranker.predicts_values
        object.__setattr__(self, "predicts_values", rates)

    @property
    def parts(self) -> tuple[FittedModel, ...]:
        """The candidate models, and the ranker if there is one."""
        return self.candidates if self.ranker is None else (*self.candidates, self.ranker)

    def verify(self) -> None:
        """Refuse parts of different training sets.

        Raises
        ------
        ConfigError
            If there are no candidate models.
        DataError
            Naming the part that differs.
        """
        if not self.candidates:
            raise ConfigError(NO_CANDIDATES)
        for one in self.parts:
            if same_training(self.memory, one.memory):
                continue
            if one is self.ranker or not same_training(self.memory, one.memory, taken=True):
                raise DataError(
                    f"{type(one.estimator).__name__} was fitted on another training set than the other "
                    "parts of the pipeline; fit all of them on one"
                )
        if self.ranker is not None and len(self.ranker.items) < len(self.items):
            raise DataError(
                f"the ranker {type(self.ranker.estimator).__name__} does not know the items that were "
                "added to the candidate models; add them to it too, or leave it out"
            )

    # ---- lists ------------------------------------------------------------------------------

    def rank_block(
        self, block: Queries, seen: Histories, banned: I32, k: int
    ) -> tuple[I32, F32, U8]:
        """Return the lists of one block of queries, (n, k), and how each was made, (n,)."""
        union, fused, source, named = self.union(block, seen, banned)
        scores = fused
        if self.ranker is not None:
            asked = narrowed(block, len(self.ranker.items))
            scores, how = score_candidates(self.ranker, asked, union, named)
            scores = np.where(((how == FALLBACK) & (source != FALLBACK))[:, None], fused, scores)
        if not self.estimator.diversity:
            return *best_of(union, scores, k), source
        items, best = best_of(union, scores, union.shape[1])
        likeness = self.similarity_vectors
        items, best = diversify(items, best, likeness, k, self.estimator.diversity)
        return items, best, source

    def union(
        self, block: Queries, seen: Histories, banned: I32
    ) -> tuple[I32, F32, U8, F32 | None]:
        """Return the candidates of a block, their fused scores (n, c), the best source (n,), and each model's scores (n, c, J) if read."""
        lists: list[tuple[I32, F32]] = []
        hows: list[U8] = []
        for one in self.candidates:
            n = len(one.items)
            hidden, barred = known_part(seen, n), banned[banned < n]
            asked, depth = narrowed(block, n), min(self.estimator.depth, n)
            items, scores, how = rank_block(one, asked, hidden, barred, depth, None)
            lists.append((items, scores))
            hows.append(how)
        source = np.minimum.reduce(hows)
        for (items, _), how in zip(lists, hows, strict=True):
            # Popularity of a model that does not know the person is no match for what another one knows.
            items[(how == FALLBACK) & (source != FALLBACK)] = UNKNOWN
        union, fused = fuse([items for items, _ in lists], self.estimator.smoothing)
        named = named_scores(union, lists, len(self.items)) if self.reads_lists else None
        return union, fused, source, named

    @property
    def reads_lists(self) -> bool:
        """Whether the ranker learned from lists of these candidate models."""
        return isinstance(self.ranker, ReadsCandidates) and self.ranker.n_named == len(self.candidates)  # fmt: skip

    def explained_by(self, asked: Queries) -> FittedModel:
        """Return the ranker; where it cannot map the person and a candidate model can, what fuses the lists."""
        ranker, fused = self.ranker, replace(self, ranker=None)
        lost = not self.reads_lists and self.encode(asked).source[0] == FALLBACK
        return fused if ranker is None or (lost and fused.encode(asked).source[0] != FALLBACK) else ranker  # fmt: skip

    # ---- what the base asks for -------------------------------------------------------------

    @property
    def item_vectors(self) -> F32 | csr_array:
        """The items as the ranker has them, shape (n_items, d); unit vectors without a ranker."""
        if self.ranker is not None:
            return self.ranker.item_vectors
        n = len(self.items)
        return csr_array((np.ones(n, np.float32), np.arange(n), np.arange(n + 1)), shape=(n, n))

    def encode(self, queries: Queries) -> Encoded:
        """Map queries as the ranker does; without one, to the fused scores of their candidates."""
        if not len(queries):
            return Encoded(self._nothing(0), np.zeros(0, np.uint8))
        if self.ranker is not None:
            return self.ranker.encode(narrowed(queries, len(self.ranker.items)))
        nobody = Histories.empty(len(queries))
        union, fused, source, _ = self.union(queries, nobody, np.zeros(0, np.int32))
        row, place = np.nonzero(union != UNKNOWN)
        at = row, union[row, place]
        return Encoded(
            csr_array((fused[row, place], at), shape=(len(queries), len(self.items))), source
        )

    def fold_in(self, histories: Histories) -> F32 | csr_array:
        """Map histories, shape (n, d)."""
        return self.encode(Queries.of_histories(histories)).vectors

    @property
    def similarity_vectors(self) -> F32 | csr_array:
        """Those of the first candidate model that knows all items, shape (n_items, d')."""
        n = len(self.items)
        return next(one for one in self.parts if len(one.items) == n).similarity_vectors

    @property
    def n_trained(self) -> int:
        """Number of items that the parts were trained on."""
        return self.candidates[0].n_trained

    def values(self, scores: F32) -> F32:
        """Turn scores of the ranker into values."""
        return scores if self.ranker is None else self.ranker.values(scores)

    def pair_values(self, vectors: F32, items: F32) -> F32:
        """Return the value of each pair of rows as the ranker does, shape (n,)."""
        if self.ranker is None:
            return super().pair_values(vectors, items)
        return self.ranker.pair_values(vectors, items)

    @property
    def unknown_user(self) -> F32:
        """The ranker's vector of somebody unknown, shape (d,)."""
        return super().unknown_user if self.ranker is None else self.ranker.unknown_user

    @property
    def unknown_item(self) -> F32:
        """The ranker's vector of an unknown item, shape (d,)."""
        return super().unknown_item if self.ranker is None else self.ranker.unknown_item

    def check_content(self) -> None:
        """Refuse new items where no candidate model reads content, or the ranker does not.

        Raises
        ------
        DataError
            Naming those that do not.
        """
        if not self.reads_content:
            blind = [type(one.estimator).__name__ for one in self.parts if not one.reads_content]
            raise DataError(
                "new items need a candidate model that reads content and a ranker that does too, or "
                f"none; {', '.join(blind)} cannot place them"
            )

    def place(self, items: Entities) -> FittedPipeline:
        """Return the pipeline with items that it does not know, added to every part that reads content."""
        self.check_content()
        grown = tuple(
            one.place(new_items(one, items)) if one.reads_content else one for one in self.parts
        )
        n = len(self.candidates)
        ranker = grown[n] if self.ranker is not None else None
        memory = max(ranker_first(grown, ranker), key=lambda one: len(one.items)).memory
        return replace(self, memory=memory, candidates=grown[:n], ranker=ranker)
