"""The convolutional network on sounds: how it is declared, what it hears, and how it answers.

A network sees windows of a few seconds; the vector of a sound is the mean over its consecutive windows
(van den Oord et al. 2013, section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from twofold.data.columns import Text
from twofold.errors import ConfigError, DataError
from twofold.features.audio import LogMel
from twofold.features.numbers import centre_and_scale
from twofold.features.shelf import shelf
from twofold.features.sounds import folders_of, of_each
from twofold.hyperparameters import Search, hyperparameters
from twofold.models.mapping._content_goal import Goal
from twofold.models.mapping._content_rows import OnError, tell_left_out
from twofold.typing import F32, Bool

if TYPE_CHECKING:
    import torch

    from twofold.models.mapping.deep_content import DeepContent
    from twofold.nn.convolutions import MelCNN


@hyperparameters
class CNN:
    """Convolutions over time on log-mel windows, pooled over time by mean, maximum and L2 norm."""

    kind: Literal["cnn"] = "cnn"
    """The tag in files."""
    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (64, 64, 128)
    """Filters of each convolution."""
    pools: tuple[PositiveInt, ...] = (4, 2, 2)
    """Frames over which the output of each convolution is maximised."""
    width: PositiveInt = 4
    """Frames that a filter sees."""
    hidden: tuple[PositiveInt, ...] = (256,)
    """Widths of the dense layers after the pooling."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.5)] = 0.0
    """Share of hidden units that is dropped in training; the paper saw no gain."""
    seconds: PositiveFloat = 3.0
    """Length of a window."""

    def __post_init__(self) -> None:
        """Check that every convolution has a pool."""
        if len(self.channels) != len(self.pools):
            raise ConfigError(
                f"CNN has {len(self.channels)} channels and {len(self.pools)} pools; give as many of both"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundMap:
    """The learned network and the sounds that it was trained for."""

    column: str
    settings: LogMel
    network: CNN
    on_error: OnError
    weights: Mapping[str, F32]
    band_centre: F32  # (bands,)
    band_spread: F32  # (bands,)
    centre: F32  # (d,)
    scale: float
    folders: tuple[str, ...] | None = None
    """Where the sounds lie that were read; None = the model was saved before this was kept."""

    def predict(self, column: Text) -> tuple[F32, Bool]:
        """Return the vectors of sounds, (n, d), and which could be heard, (n,).

        Raises
        ------
        DataError
            If a sound cannot be read, unless such are skipped.
        """
        # torch is an optional part of the package.
        from twofold.models.mapping._content_training import heard

        d = len(self.centre)
        out, known = np.tile(self.centre, (len(column), 1)), np.zeros(len(column), np.bool_)
        net = network_of(self.network, d, self.settings.bands, blank())

        def vector(path: Path) -> F32:
            windows = self.settings.windows(
                whole(path, self.settings, self.network), self.network.seconds
            )
            return heard(net, self.weights, [windows], self.band_centre, self.band_spread)[0]

        sounds = of_each(column, vector, on_error=self.on_error, least=0)
        tell_left_out(sounds)
        if not sounds.made:
            return out, known
        out[sounds.rows] = self.centre + np.float32(self.scale) * np.stack(sounds.made)
        known[sounds.rows] = True
        return out.astype(np.float32), known


def whole(path: Path, settings: LogMel, network: CNN) -> F32:
    """Return the spectrogram of a file (frames, bands), of at least one window.

    Raises
    ------
    DataError
        If it is too short, or cannot be read.
    """
    made = settings.spectrogram(path)
    if len(made) < settings.frames_in(network.seconds):
        seconds = (len(made) - 1) * settings.hop / settings.sample_rate
        raise DataError(
            f"sound {str(path)!r} is too short: it lasts about {seconds:.1f} s, at least {network.seconds:g} s are needed, "
            "a window of the network (CNN.seconds)"
        )
    return made


def network_of(network: CNN, d: int, bands: int, draw: torch.Generator) -> MelCNN:
    """Return the network for `d` factors, with first weights."""
    from twofold.nn.convolutions import MelCNN

    return MelCNN(
        d, n_bands=bands, channels=network.channels, pools=network.pools, width=network.width,
        hidden=network.hidden, dropout=network.dropout, rng=draw,
    )  # fmt: skip


def blank() -> torch.Generator:
    """Return a generator for weights that are replaced at once."""
    import torch

    return torch.Generator().manual_seed(0)


def fit_sound_map(
    model: DeepContent,
    network: CNN,
    name: str,
    column: Text,
    goal: Goal,
    rng: np.random.Generator,
) -> SoundMap:
    """Train the network on the sounds of `column`, whose rows are those of `goal`; unread sounds take no part."""
    from twofold.models.mapping._content_training import fit_sounds, seeded

    most = model.sound.max_seconds
    if most is not None and most < network.seconds:
        raise ConfigError(
            f"CNN.seconds got {network.seconds:g}, and of a sound only {most:g} s are read (sound.max_seconds); "
            "allowed is seconds <= max_seconds: lower the one or raise the other"
        )
    frames = model.sound.frames_in(network.seconds)
    net = network_of(network, goal.vectors.shape[1], model.sound.bands, seeded(rng))
    if frames < net.shortest:
        raise ConfigError(
            f"CNN hears {frames} frames in {network.seconds:g} s and needs {net.shortest} for "
            f"width={network.width} and pools={network.pools}; lower them or the hop of `sound`, or raise seconds"
        )
    with shelf(model.sound.bands) as kept:
        sounds = of_each(
            column,
            lambda path: kept.lay(whole(path, model.sound, network)),
            on_error=model.on_error,
        )
        spectra = kept.read(sounds.made)
    tell_left_out(sounds)
    sample = np.concatenate([one[:: max(1, len(one) // 100)] for one in spectra])
    centre, spread = centre_and_scale(sample.astype(np.float64))
    weights = fit_sounds(
        net,
        spectra,
        frames,
        centre,
        spread,
        goal.take(sounds.rows.astype(np.int64)),
        model,
        rng,
    )
    return SoundMap(
        column=name,
        settings=model.sound,
        network=network,
        on_error=model.on_error,
        weights=weights,
        band_centre=centre,
        band_spread=spread,
        centre=goal.centre,
        scale=goal.scale,
        folders=folders_of(column.take(sounds.rows).values),
    )
