"""What both fitted networks of Covington et al. (2016) say of the columns that they read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from twofold.data.entities import Levels
from twofold.data.queries import Queries, telling
from twofold.data.vocabulary import UNKNOWN
from twofold.features.table import TableCode
from twofold.models._base import FittedModel
from twofold.models.mapping._youtube_inputs import (
    Block,
    check_said,
    encode_columns,
    features_at,
)
from twofold.typing import Bool


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadsColumns(FittedModel):
    """Features of people and circumstances as rows of embedding tables and numbers."""

    reads_features: ClassVar[bool] = True

    user_code: TableCode
    context_code: TableCode
    context_names: tuple[str, ...]
    """Context columns of the training log, read or not."""

    @property
    def context_levels(self) -> Levels:
        """The values of context columns that have rows of their own."""
        return {**dict.fromkeys(self.context_kinds), **self.context_code.levels}

    @property
    def feature_levels(self) -> Levels:
        """The values of user features that have rows of their own."""
        return self.user_code.levels

    def check(self, queries: Queries) -> Bool:
        """Refuse what cannot be read; return of which people (n,) anything is said beside user and history.

        Raises
        ------
        ConfigError
            If a context column or feature was not there in training.
        """
        return check_said(
            queries, self.user_code, self.users.features, self.context_levels, self.context_names
        )

    @cached_property
    def everybody(self) -> Block:
        """What is read of the features of the training users, a row each."""
        return encode_columns(self.user_code, self.users.features, len(self.users))

    def people_block(self, queries: Queries) -> Block:
        """Return what is read of the features of n people: those that are told, else those of training.

        Of whom nothing is known all is zero, as it is where training withholds columns: nothing is missing.
        """
        n = len(queries)
        remembered = features_at(self.user_code, self.users.features, queries.user)
        block = encode_columns(self.user_code, {**remembered, **queries.features}, n)
        told = telling(queries.features, self.user_code.levels, n)
        block.dense[(queries.user == UNKNOWN) & ~told] = 0
        return block
