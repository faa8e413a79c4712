"""How a list is drawn from candidates, declared: the draw, and the chance of every candidate at a place.

A server draws by it and logs the chances; an off-policy estimate reads off what another policy would have done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, PositiveFloat

from twofold.errors import ConfigError, did_you_mean
from twofold.hyperparameters import hyperparameters, names
from twofold.online.explore import (
    Explored,
    epsilon_greedy,
    epsilon_greedy_chances,
    plackett_luce,
    plackett_luce_chances,
)
from twofold.typing import F64, Rng

Candidates = Annotated[int, Field(ge=2, le=1000)]


@hyperparameters
class Epsilon:
    """At each place the best candidate that is left, or with a small chance any that is left."""

    kind: Literal["epsilon"] = "epsilon"
    """Which policy this is."""
    epsilon: float = Field(default=0.1, gt=0, le=1)
    """The small chance, at each place."""
    candidates: Candidates = 100
    """So many of the model's best items are drawn from; the others are never shown, and nothing is learned of them."""

    def draw(self, scores: ArrayLike, k: int, rng: Rng = None) -> Explored:
        """Return a list of rows of the candidates with the chance of each at its place; see `explore.epsilon_greedy`."""
        return epsilon_greedy(scores, k, epsilon=self.epsilon, rng=rng)

    def chances(self, scores: ArrayLike, above: ArrayLike) -> F64:
        """Return the chance of every candidate at the place below the rows `above`; shape (m,)."""
        return epsilon_greedy_chances(scores, above, epsilon=self.epsilon)


@hyperparameters
class Softmax:
    """At each place a draw among those that are left, with chances exp(score / (temperature * s)): Plackett-Luce.

    s is the standard deviation of the candidates' scores, so that a temperature means the same for every model.
    """

    kind: Literal["softmax"] = "softmax"
    """Which policy this is."""
    temperature: PositiveFloat = 0.3
    """In standard deviations of the candidates' scores; the larger, the more is explored."""
    candidates: Candidates = 100
    """So many of the model's best items are drawn from; the others are never shown, and nothing is learned of them."""

    def draw(self, scores: ArrayLike, k: int, rng: Rng = None) -> Explored:
        """Return a list of rows of the candidates with the chance of each at its place; see `explore.plackett_luce`."""
        return plackett_luce(standard(scores), k, temperature=self.temperature, rng=rng)

    def chances(self, scores: ArrayLike, above: ArrayLike) -> F64:
        """Return the chance of every candidate at the place below the rows `above`; shape (m,)."""
        return plackett_luce_chances(standard(scores), above, temperature=self.temperature)


Policy = Annotated[Epsilon | Softmax, Field(discriminator="kind")]
POLICIES: Mapping[str, type[Epsilon | Softmax]] = {"epsilon": Epsilon, "softmax": Softmax}
"""Policies by name."""


class Greedy:
    """The best first: what a server does that does not explore."""

    def chances(self, scores: ArrayLike, above: ArrayLike) -> F64:
        """Return 1 for the best candidate that is not above, the first of equals, and 0 for the others; shape (m,)."""
        return epsilon_greedy_chances(scores, above, epsilon=0.0)


def standard(scores: ArrayLike) -> F64:
    """Return scores in standard deviations from their mean; zeros where they are all alike.

    Example
    -------
    >>> standard([1.0, 2.0, 3.0]).round(3).tolist(), standard([5.0, 5.0]).tolist()
    ([-1.225, 0.0, 1.225], [0.0, 0.0])
    """
    given = np.asarray(scores, np.float64)
    spread = float(given.std()) if len(given) else 0.0
    # Equal scores may differ from their mean by rounding, which is no order.
    if not spread > 1e-12 * float(np.abs(given).max(initial=0.0)):
        return np.zeros(len(given))
    return (given - given.mean()) / spread


def policy_of(place: str, table: object) -> Epsilon | Softmax:
    """Return the policy that a table declares, such as ``{ kind = "softmax", temperature = 0.5 }``.

    Raises
    ------
    ConfigError
        If a key or a value is wrong.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f'[{place}] must be a table such as {{ kind = "epsilon", epsilon = 0.1 }}; got {table!r}')  # fmt: skip
    given: dict[str, Any] = {str(name): one for name, one in table.items()}
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in POLICIES:
        raise ConfigError(f"[{place}] kind got {kind!r}; {did_you_mean(kind, POLICIES)}")
    for key in given:
        if key not in names(POLICIES[kind]):
            raise ConfigError(f"[{place}] has no key {key!r}; {did_you_mean(key, names(POLICIES[kind]))}")  # fmt: skip
    try:
        return POLICIES[kind](**given)
    except ConfigError as error:
        said = str(error).removeprefix(f"{POLICIES[kind].__name__}.")
        raise ConfigError(f"[{place}] {said}") from None
