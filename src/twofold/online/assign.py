"""Salted, deterministic assignment: a function of the declaration, the unit and the time alone.

Three draws, each uniform on [0, 1) and independent of the others, from BLAKE2b (64 bits) of the parts,
each with its length in front so that no two lists of parts look alike:

1. layer: (salt, "layer", layer, unit). The unit belongs to the experiment whose slice the draw falls in.
   Experiments of one layer never share a unit; layers are drawn apart, so each sees every variant of the
   others alike (Tang, Agarwal, O'Brien & Meyer 2010, "Overlapping Experiment Infrastructure").
2. ramp: (salt, "ramp", experiment salt, unit). It takes part while the draw is below the ramp's share, so
   that who took part still does when the share grows.
3. variant: one draw u_v each, (salt, "variant", experiment salt, variant, unit); the unit gets the
   variant with the smallest -log(1 - u_v) / weight_v: weighted rendezvous hashing (Thaler & Ravishankar 1998;
   Schindelhauer & Schomaker 2005). Shares are exactly the weights. When one weight grows, units move to
   that variant alone, and no more of them than the shares ask for; when a variant is added, units move
   to it alone; when one is removed, its units alone move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twofold.errors import ConfigError
from twofold.typing import Id

if TYPE_CHECKING:
    from twofold.online.experiments import Experiments, Slice


class Assignment(NamedTuple):
    """What a unit gets."""

    experiment: str
    variant: str


def draw(*parts: str) -> float:
    """Return a uniform number in [0, 1) from texts, the same on every machine.

    Example
    -------
    >>> round(draw("salt", "unit"), 6), draw("a", "bc") == draw("ab", "c")
    (0.098572, False)
    """
    return (_word(*parts) >> 11) / 2.0**53


def coin(*parts: str) -> np.random.Generator:
    """Return a generator that depends on texts alone, the same on every machine: for draws inside a list.

    Example
    -------
    >>> coin("salt", "unit", "request").random() == coin("salt", "unit", "request").random()
    True
    """
    return np.random.default_rng(_word(*parts))


def _word(*parts: str) -> int:
    """Return 64 bits of the parts, each with its length in front."""
    told = b"".join(len(one := part.encode("utf-8", "surrogatepass")).to_bytes(8, "big") + one for part in parts)  # fmt: skip
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")


def _unit(unit: Id) -> str:
    """Return a unit as text; 42 and "42" are the same unit, as they are in a URL."""
    if isinstance(unit, bool) or not isinstance(unit, int | str) or unit == "":
        raise ConfigError(f"a unit is a text that is not empty, or an integer; got {unit!r}")
    return str(unit)


def variant_of(one: Slice, unit: Id, time: float, salt: str = "") -> str | None:
    """Return the variant of one experiment for a unit at a time; None where it takes no part.

    Parameters
    ----------
    one
        The experiment with its slice of a layer.
    unit
        The id of a user, or of a session where the experiment assigns sessions.
    time
        Seconds since 1970.
    salt
        Of the layers, as declared beside the experiments.

    Raises
    ------
    ConfigError
        If the unit is no id, or the time not finite.
    """
    who = _unit(unit)
    if not math.isfinite(time):
        raise ConfigError(f"time must be seconds since 1970; got {time!r}")
    plan = one.experiment
    share = plan.ramped(time)
    if share == 0 or not one.low <= draw(salt, "layer", plan.layer, who) < one.high:
        return None
    if draw(salt, "ramp", one.salt, who) >= share:
        return None

    def waits(variant: str) -> float:
        u = draw(salt, "variant", one.salt, variant, who)
        return -math.log1p(-u) / plan.variants[variant].weight

    return min(plan.variants, key=waits)


def assign(
    experiments: Experiments, time: float, *, user: Id | None = None, session: Id | None = None
) -> list[Assignment]:
    """Return the variants of a person or a session in all experiments that they take part in.

    At most one a layer. Experiments that assign by an id that is not given are passed over.

    Parameters
    ----------
    experiments
        As declared.
    time
        Seconds since 1970.
    user, session
        At least one of them.

    Raises
    ------
    ConfigError
        If neither is given, or one is no id, or the time not finite.

    Example
    -------
    >>> from twofold.online.experiments import from_dict
    >>> made = from_dict({"experiments": {"ranker": {"variants": {"control": {}, "new": {}}}}})
    >>> assign(made, time=0.0, user="user 7")
    [Assignment(experiment='ranker', variant='control')]
    """
    if user is None and session is None:
        raise ConfigError("assignment needs a user or a session; got neither")
    found: list[Assignment] = []
    for name, one in experiments.slices.items():
        unit = user if one.experiment.unit == "user" else session
        variant = None if unit is None else variant_of(one, unit, time, experiments.salt)
        if variant is not None:
            found.append(Assignment(name, variant))
    return found


def assign_many(one: Slice, units: Sequence[Id], time: float, salt: str = "") -> list[str | None]:
    """Return the variant of each of many units; see `variant_of`."""
    return [variant_of(one, unit, time, salt) for unit in units]
