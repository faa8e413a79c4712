"""Optimisers as declarations: what a model writes among its hyperparameters; nothing here imports torch."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat, PositiveFloat

from twofold.hyperparameters import Search, hyperparameters


@hyperparameters
class SGD:
    """Stochastic gradient descent, with momentum."""

    method: Literal["sgd"] = "sgd"
    """The tag in files."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 1.0, log=True)] = 0.1
    """Step."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last step that is taken again."""
    weight_decay: NonNegativeFloat = 0.0
    """Factor of the weights that is added to their gradient."""


@hyperparameters
class Adam:
    """Adam (Kingma & Ba 2015); embeddings with sparse gradients move only in the rows of the batch."""

    method: Literal["adam"] = "adam"
    """The tag in files."""
    learning_rate: Annotated[PositiveFloat, Search(1e-4, 1e-2, log=True)] = 0.001
    """Step alpha."""
    weight_decay: NonNegativeFloat = 0.0
    """Factor of the weights that is added to their gradient."""


@hyperparameters
class Adagrad:
    """Adagrad (Duchi, Hazan & Singer 2011): each weight's step shrinks with its summed squares.

    Embeddings with sparse gradients move, and keep their momentum, only in the rows of the batch.
    """

    method: Literal["adagrad"] = "adagrad"
    """The tag in files."""
    learning_rate: Annotated[PositiveFloat, Search(1e-3, 0.5, log=True)] = 0.05
    """Step."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the last step that is taken again."""
    weight_decay: NonNegativeFloat = 0.0
    """Factor of the weights that is added to their gradient."""


Optimiser: TypeAlias = Annotated[SGD | Adam | Adagrad, Field(discriminator="method")]
"""Type of a hyperparameter that holds an optimiser."""
