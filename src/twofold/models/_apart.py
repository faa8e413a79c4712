"""Models whose items with a history stand elsewhere than their content alone would put them."""

from __future__ import annotations

from functools import cached_property

from scipy.sparse import csr_array

from twofold.data.columns import kind_of
from twofold.models._base import FittedModel
from twofold.typing import F32


class Apart(FittedModel):
    """A model that places items of which it knows content alone, and moves the others by who took them.

    Their vectors are of other lengths and directions: among both, an item without a history is nearest to others
    without one. So it is compared with all items as their content has them.
    """

    def content_likeness(self) -> F32 | csr_array:
        """Return the vectors whose cosine says how like items are by their content, shape (n_items, d').

        Those of `similarity_vectors` where content is sound, which would have to be heard again.
        """
        return self._by_content

    @cached_property
    def _by_content(self) -> F32 | csr_array:
        read = (self.items.features[name] for name in self.content_levels if name in self.items.features)  # fmt: skip
        if not self.reads_content or any(kind_of(one) == "sound" for one in read):
            return self.similarity_vectors
        return self.likeness_of(self.items, self.encode_items(self.items))
