"""Several fitted models as one: what any of them reads is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twofold.data.columns import Column, Kind
from twofold.data.entities import Entities, Levels, joined_levels
from twofold.data.queries import Queries
from twofold.models._base import FittedModel
from twofold.typing import Bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Together(FittedModel):
    """Asks several models, and knows of columns what any of them knows."""

    def __post_init__(self) -> None:
        """Read of people what any of the models reads; words that one keeps hold those of the others."""
        for name in ("reads_features", "reads_text", "keeps_runs"):
            object.__setattr__(self, name, any(getattr(one, name) for one in self.parts))

    @property
    @abstractmethod
    def parts(self) -> tuple[FittedModel, ...]:
        """The models."""

    @property
    def context_kinds(self) -> Mapping[str, Kind]:
        """The context columns that any of the models reads."""
        return {name: kind for one in self.parts for name, kind in one.context_kinds.items()}

    @property
    def context_levels(self) -> Levels:
        """The values of context columns that any of the models learned."""
        return self._levels[0]

    @property
    def feature_levels(self) -> Levels:
        """The values of user features that any of the models learned."""
        return self._levels[1]

    @property
    def content_levels(self) -> Levels:
        """The values of item features that any of the models learned."""
        return self._levels[2]

    def moments_of(self, queries: Queries) -> Mapping[str, Column]:
        """Return the circumstances that any of the models makes of the time."""
        made: dict[str, Column] = {}
        for one in self.parts:
            made.update(one.moments_of(queries))
        return made

    def knows_nothing_of(self, items: Entities) -> Bool:
        """Return of which new items of the catalogue no model that places them knows anything, shape (len(items),)."""
        lost = np.ones(len(items), np.bool_)
        for one in self.parts:
            if one.reads_content:
                lost &= one.knows_nothing_of(items)
        return lost

    @cached_property
    def _levels(self) -> tuple[Levels, Levels, Levels]:
        """The levels of contexts, of people and of items, which are joined once."""
        return (
            joined_levels([one.context_levels for one in self.parts]),
            joined_levels([one.feature_levels for one in self.parts]),
            joined_levels([one.content_levels for one in self.parts]),
        )


def ranker_first(parts: Sequence[FittedModel], ranker: FittedModel | None) -> list[FittedModel]:
    """Return the parts with the ranker before the others: it remembers impressions where they remember what was taken."""
    return sorted(parts, key=lambda one: one is not ranker)
