"""What both fitted networks of Covington et al. (2016) say of the columns that they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from twofold.data.entities import Levels
from twofold.data.queries import Queries
from twofold.features.table import TableCode
from twofold.models._base import FittedModel
from twofold.models.mapping._youtube_inputs import check_said
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
