"""What may go wrong with an experiment, told when it starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from twofold.models._base import FittedModel
from twofold.serve.experiments import Declared


def cautions(
    declared: Declared, live: FittedModel, models: Mapping[int, FittedModel], kinds: Collection[str]
) -> list[str]:
    """Return a sentence for each metric that counts none of the `kinds` that make histories, and for each variant that reads less than the live model.

    `models` are those of the variants, by version.
    """
    said: list[str] = []
    for name, one in declared.experiments.slices.items():
        for metric, counted in one.experiment.metrics.items():
            if kinds and counted.event and counted.event not in kinds:
                said.append(
                    f"experiment {name!r}: metrics.{metric} counts events of the kind {counted.event!r}, and this server is told "
                    f"--kind {', '.join(kinds)}: set metrics.{metric}.event if one of those is meant"
                )
    for (name, variant), number in declared.versions.items():
        lost = unread_by(models[number], live)
        if lost:
            said.append(
                f"experiment {name!r}: version {number} ({type(models[number].estimator).__name__}) of the variant {variant!r} does not read "
                f"{', '.join(lost)}, which the live version reads: questions that it refuses are answered by the live version "
                "and do not count, of others that is passed over"
            )
    return said


def unread_by(model: FittedModel, live: FittedModel) -> list[str]:
    """Return what of a question `model` does not read and `live` does.

    Example
    -------
    >>> import twofold as tw
    >>> log = tw.testing.planted_log()
    >>> unread_by(tw.models.Popularity().fit(log), tw.models.ItemKNN(content=("title",)).fit(log))
    []
    """
    lost = ["words"] if live.reads_text and not model.reads_text else []
    sides: tuple[tuple[str, Collection[str], Collection[str]], ...] = (
        ("the user feature", live.feature_levels, model.feature_levels),
        ("the circumstance", live.context_kinds, model.context_kinds),
        ("the item feature (in where)", live.items.features, model.items.features),
    )
    for what, mine, theirs in sides:
        lost += [f"{what} {one!r}" for one in mine if one not in theirs]
    return lost
