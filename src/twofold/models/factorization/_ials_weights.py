"""The two weights of iALS that a log decides where nobody names them: of what was not observed, and of the penalty.

Symbols follow Rendle, Krichene, Zhang & Koren (2022), "Revisiting the Performance of iALS on Item Recommendation
Benchmarks", RecSys: alpha_0 the weight of every pair, lambda the penalty, #_u = |I(u)| + alpha_0 |I|.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

from pydantic import Field
from scipy.sparse import csr_array

Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]
"""What alpha_0 may be: an observation weighs 1."""
UNOBSERVED = 0.1
"""alpha_0 where none is given and the catalogue is not large beside the histories."""
BESIDE = 20.0
"""alpha_0 |I| is so many mean histories at most, where no alpha_0 is given."""
REG = 0.01
"""lambda where none is given, on logs that are not small."""
LEAST, SHARE = 2.0, 1 / 3
"""lambda times the mean frequency of the users, at least, where no lambda is given; and at most this share of a mean history then."""


class Weights(NamedTuple):
    """What iALS weighs with."""

    reg: float  # lambda
    unobserved: float  # alpha_0


def weights_of(reg: float | None, unobserved: float | None, rows: csr_array) -> Weights:
    """Return the weights for a matrix (n_users, n_items) of observations; those that are given stay.

    All unobserved pairs of a person weigh alpha_0 |I| together, and lambda #_u grows with it: where the catalogue
    is some hundred times as long as a history, both drown what was observed and leave popularity, so alpha_0 ends at
    `BESIDE` histories. Where catalogue and histories are small, so is #_u, and `REG` would not keep the factors from
    learning the log by heart: the mean user is penalized by `LEAST` at least, or by `SHARE` of the events that
    such a user has, as a penalty as large as the history would leave popularity alone.

    Example
    -------
    >>> from scipy.sparse import random_array
    >>> weights_of(None, None, random_array((100, 1000), density=0.1, format="csr"))
    Weights(reg=0.01, unobserved=0.1)
    >>> weights_of(None, None, random_array((100, 20_000), density=0.0005, format="csr"))
    Weights(reg=0.01, unobserved=0.01)
    """
    n_users, n_items = rows.shape or (0, 0)
    events = rows.nnz / n_users
    if unobserved is None:
        unobserved = min(UNOBSERVED, BESIDE * events / n_items)
    if reg is None:
        reg = max(REG, min(LEAST, SHARE * events) / (events + unobserved * n_items))
    return Weights(reg, unobserved)
