"""What a population is like, declared: how many, what they want, how they look at lists, when they come back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from twofold.errors import ConfigError
from twofold.hyperparameters import hyperparameters

Chance = Annotated[float, Field(gt=0, lt=1)]
DAY = 86_400.0
"""Seconds of a day."""
EPOCH = 1_704_067_200.0
"""1 January 2024, 00:00 UTC: in the past of every clock, so that no server takes the days for the future."""


@hyperparameters
class People:
    """A population to be drawn: `Population(People(...), rng=0)`."""

    count: PositiveInt = 2000
    """People who are there from the beginning; the past log is theirs."""
    newcomers: NonNegativeFloat = 10.0
    """People who come for the first time, in the mean of a day; nothing is known of them."""
    items: Annotated[int, Field(ge=10)] = 600
    """Items that are there from the beginning."""
    new_items: NonNegativeInt = 3
    """Items that are new on every day after the first."""
    days: PositiveInt = 14
    """Days for which arrivals are drawn."""
    start: Annotated[float, Field(ge=0, le=1e11)] = EPOCH
    """When the first day begins, in seconds since 1970; a server refuses times that lie ahead of its clock."""

    tastes: Annotated[int, Field(ge=2)] = 8
    """d: directions in which tastes differ."""
    attraction: Chance = 0.03
    """How often an item of middling appeal is taken by somebody of middling readiness who looks at it."""
    taste: NonNegativeFloat = 1.2
    """Standard deviation, in the logit of that chance, of what one person likes and another does not."""
    popularity: NonNegativeFloat = 0.8
    """The same, of what everybody likes in an item."""
    readiness: NonNegativeFloat = 0.4
    """The same, of how readily people take anything."""
    drift: NonNegativeFloat = 0.02
    """Radians by which tastes turn in a day; after pi/2 nothing is left of a taste."""

    shown: Annotated[int, Field(ge=1, le=200)] = 10
    """Length of the lists that are asked for."""
    position_bias: NonNegativeFloat = 1.0
    """The place k of a list is looked at with chance k^-position_bias."""
    visits: Chance = 0.25
    """How often somebody of middling mood comes on a day."""
    another: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """How often somebody asks for another list in the same visit."""
    loyalty: NonNegativeFloat = 1.0
    """What mood, from 0 (nothing was to their taste) to 1, adds to the logit of coming, beside its middle of 1/2."""
    memory: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the mood that the last list makes."""

    watched: PositiveFloat = 600.0
    """Mean seconds with an item that was sure to be taken; in proportion to its appeal otherwise."""
    bought: Annotated[float, Field(ge=0, le=1)] = 0.3
    """How often such an item is bought once taken; in proportion to its appeal otherwise."""
    price: PositiveFloat = 10.0
    """Median price; prices are log-normal with a standard deviation of 1/2."""

    past_days: PositiveFloat = 60.0
    """Days before the first one that the past log covers."""
    past_items: Annotated[float, Field(ge=1)] = 20.0
    """Items of a person in the past log, in the mean."""

    def __post_init__(self) -> None:
        """Check what spans several fields."""
        if self.start < self.past_days * DAY:
            raise ConfigError(
                f"People.start got {self.start:g}: the past log of {self.past_days:g} days would begin before 1970; give a later start"
            )
        if self.past_items > self.items / 2:
            raise ConfigError(
                f"People.past_items got {self.past_items:g} of {self.items:,} items: people would know nearly all; give at most half of the items"
            )
        if self.shown > self.items:
            raise ConfigError(
                f"People.shown got {self.shown:,}, and there are {self.items:,} items; ask for shorter lists"
            )

    @property
    def end(self) -> float:
        """When the last day ends, in seconds since 1970."""
        return self.start + self.days * DAY
