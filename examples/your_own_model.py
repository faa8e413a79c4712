"""A model of your own: two encoders, and everything else comes with it.

This one scores an item by how many people used it together with anything in the history.
"""

import sys
from dataclasses import dataclass

import numpy as np

import twofold as tw
from twofold.hyperparameters import hyperparameters
from twofold.testing import check_estimator
from twofold.typing import F32, Rng


@hyperparameters
class Together:
    """Counts of common users, damped by popularity."""

    damping: float = 0.5
    """Exponent of the item's popularity that the counts are divided by."""

    def fit(
        self, train: tw.Dataset, *, validation: tw.Dataset | None = None, rng: Rng = None
    ) -> "FittedTogether":
        """Count."""
        del validation, rng
        matrix = train.interactions.matrix()
        matrix.data[:] = 1
        counts = (matrix.T @ matrix).toarray().astype(np.float32)
        np.fill_diagonal(counts, 0)
        popularity = np.maximum(train.interactions.item_counts, 1) ** self.damping
        vectors = (counts / popularity[:, None]).astype(np.float32)
        return FittedTogether(estimator=self, memory=tw.Memory.of(train), vectors=vectors)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedTogether(tw.FittedModel):
    """A history is a row of ones; an item is its damped row of counts."""

    vectors: F32  # (n_items, n_items)

    @property
    def item_vectors(self) -> F32:
        """Shape (n_items, n_items)."""
        return self.vectors

    def fold_in(self, histories: tw.Histories) -> F32:
        """Return rows that are 1 where the history has the item, shape (n, n_items)."""
        rows = histories.matrix(len(self.vectors)).toarray()
        return (rows != 0).astype(np.float32)


def main() -> None:
    check_estimator(Together())
    sys.stdout.write("passes the suite that every model of twofold passes\n")
    split = tw.split.last_fraction(tw.datasets.load_or_generate("ml-100k"), test=0.2)
    sys.stdout.write(f"{tw.compare({'together': Together(), 'ease': tw.models.EASE()}, split)}\n")


if __name__ == "__main__":
    main()
