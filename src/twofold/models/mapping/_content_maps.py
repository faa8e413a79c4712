"""The maps from content to factors that `DeepContent` can learn: which one is fitted, and how it is asked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from twofold.data.columns import Column, Text
from twofold.errors import ConfigError, DataError, DataWarning
from twofold.models.mapping._content_dense import MLP, DenseMap, Linear, ridge
from twofold.models.mapping._content_goal import Goal
from twofold.models.mapping._content_rows import ContentCode, width_of_code
from twofold.models.mapping._content_sound import CNN, SoundMap, fit_sound_map
from twofold.models.mapping._content_trees import TreeMap, Trees, fit_trees, too_rare
from twofold.typing import F32, Bool

if TYPE_CHECKING:
    from twofold.models.mapping.deep_content import DeepContent

Map: TypeAlias = DenseMap | TreeMap | SoundMap


def fit_map(
    model: DeepContent,
    columns: Mapping[str, Column],
    names: tuple[str, ...],
    goal: Goal,
    rng: np.random.Generator,
) -> tuple[ContentCode | None, Map]:
    """Return how columns are read and the trained network."""
    if isinstance(model.network, CNN):
        if len(names) != 1:
            raise ConfigError(
                f"DeepContent.content names the sounds {', '.join(names)}; a CNN hears one: name it"
            )
        sounds = columns[names[0]]
        assert isinstance(sounds, Text)
        return None, fit_sound_map(model, model.network, names[0], sounds, goal, rng)
    code = ContentCode.of(
        columns, names, vocabulary=model.vocabulary, sound=model.sound, on_error=model.on_error
    )
    rows, known = code.read(columns)
    there = np.flatnonzero(known).astype(np.int64)
    if not len(there):
        raise DataError(
            f"DeepContent finds nothing to learn from: {', '.join(names)} are missing, or the same for all, "
            "wherever there is a history"
        )
    rows, goal = csr_array(rows[there]), goal.take(there)
    match model.network:
        case Trees() as network:
            widths = [width_of_code(one) for one in code.codes]
            say_too_rare(network, rows, widths, names)
            return code, fit_trees(network, rows, widths, goal, rng)
        case Linear(reg=reg) if model.loss == "factors":
            return code, ridge(rows, goal, reg)
        case network:
            # torch is an optional part of the package.
            from twofold.models.mapping._content_training import fit_dense

            hidden, dropout = (
                (network.hidden, network.dropout) if isinstance(network, MLP) else ((), 0.0)
            )
            return code, fit_dense(rows, goal, hidden, dropout, model, rng)


def say_too_rare(
    network: Trees, rows: csr_array, widths: Sequence[int], names: Sequence[str]
) -> None:
    """Warn of attributes that no tree can ask for."""
    for at in too_rare(network, rows, widths):
        warnings.warn(
            f"no level of {names[at]!r} is known of as many rows as a leaf needs ({network.least}), so no tree reads it; "
            "lower Trees(least=), or leave it out of DeepContent(content=)",
            DataWarning,
            stacklevel=5,
        )


def mapped(
    code: ContentCode | None,
    network: Map,
    columns: Mapping[str, Column],
) -> tuple[F32, Bool]:
    """Return what the network makes of columns of n rows, (n, d), and which rows it knows something of, (n,)."""
    if isinstance(network, SoundMap):
        sounds = columns.get(network.column)
        if not isinstance(sounds, Text):
            raise DataError(
                f"the sounds of training were in {network.column!r}, which is not there"
            )
        return network.predict(sounds)
    if code is None:
        raise DataError("the model does not say how its columns are read")
    rows, known = code.read(columns)
    return np.where(known[:, None], network.predict(rows), network.centre), known
