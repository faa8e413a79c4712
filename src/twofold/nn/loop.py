"""The one training loop: preallocated arrays, epochs dealt from a seed, early stopping, resumption.

An epoch depends on the seed, its number and the weights before it, and on nothing else. So a run that was interrupted and
goes on from the checkpoint of its last whole epoch ends with the bytes of a run that was not.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from twofold.errors import (
    ConfigError,
    DataError,
    DataWarning,
    IncompatibleFileError,
    NotConvergedError,
)
from twofold.hyperparameters import values
from twofold.keeping import Place, place_of
from twofold.nn.checkpoint import read_checkpoint, write_checkpoint
from twofold.nn.deal import Deal, shuffled
from twofold.nn.descent import check_descent
from twofold.nn.finite import Loss, check_weights, finite_sum
from twofold.nn.optimisers import SGD, Adagrad, Adam
from twofold.nn.steppers import build, clip_gradients, kept_state, moves, restore, set_rates
from twofold.nn.weights import copied, digest
from twofold.progress import track
from twofold.typing import F32

log = logging.getLogger(__name__)
TELLING = 16
"""Examples of a batch whose mean loss tells of the others."""
LossOf: TypeAlias = Callable[[Tensor, torch.Generator], Loss]


@dataclass(kw_only=True)
class History:
    """What happened, epoch by epoch."""

    losses: list[float] = field(default_factory=list[float])
    """Mean training loss of each epoch."""
    scores: list[float] = field(default_factory=list[float])
    """Validation score of each epoch; empty without validation."""
    best_epoch: int = 0
    """The epoch whose weights the module holds."""
    began: float = 0.0
    """Loss of the first batch, before any step; 0 where it is too small to tell."""


def train(
    module: nn.Module,
    n_examples: int,
    loss_of: LossOf,
    *,
    optimiser: SGD | Adam | Adagrad,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    validate: Callable[[], float] | None = None,
    patience: int | None = None,
    clip: float | None = None,
    checkpoint: Path | None = None,
    about: Mapping[str, Any] | None = None,
    device: str = "auto",
    deal: Deal = shuffled,
    decay: bool = False,
    label: str,
) -> History:
    """Train `module` in place; it is left in evaluation mode with the best weights.

    Parameters
    ----------
    module
        Its weights are the start; they are moved to the device.
    n_examples
        Rows of the arrays that `loss_of` closes over.
    loss_of
        Called with rows (b,), int64 on the device, and the generator from which everything random must be
        drawn (negatives, corruption, windows; dropout is seeded for you); returns the mean loss of
        the batch, or named parts that are added.
    optimiser
        A declaration; parameters with sparse gradients get a sparse variant of it.
    epochs, batch_size
        Passes, and the most rows of a batch; a pass is cut into batches of about equal size.
    rng
        One number is drawn from it; the same number gives the same bytes on the same machine with as many threads.
    validate
        Called after each epoch, without gradients and in evaluation mode; higher is better.
    patience
        Stop after so many epochs without a better score; all epochs run where absent.
    clip
        Longest norm of the gradient of all parameters together; longer ones are shortened.
    checkpoint
        A folder, written after each epoch. If it holds a run that began alike, that run is continued. Where absent,
        that of `twofold.checkpoints`, if one is open.
    about
        Whatever else makes this run this run (hyperparameters, the fingerprint of the data), as JSON
        values: a checkpoint that says otherwise is refused.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; place the arrays with `pick_device`.
    deal
        How an epoch is cut into batches: `shuffled`, `within_groups`, `in_groups` or `session_parallel`.
    decay
        Let the step fall in a line from the learning rate to 0 over the `epochs`, so that the last
        weights do not depend on the last batches.
    label
        Name of the model, for the bar, the log and messages.

    Raises
    ------
    NotConvergedError
        If a loss, a weight or a score is not finite, or the loss ends far above that of the untrained weights; says
        which, when, and what to lower.
    ConfigError
        If an argument is out of its range, or the device is not there.
    DataError
        If there is no example, or the checkpoint cannot be written.
    IncompatibleFileError
        If the checkpoint is damaged or belongs to another run.
    """
    check_arguments(n_examples, epochs, batch_size, clip, patience, validating=validate is not None)
    root = int(rng.integers(2**63))
    identity: Mapping[str, Any] = {
        "label": label,
        "seed": root,
        "optimiser": values(optimiser),
        "batch_size": batch_size,
        "n_examples": n_examples,
        "clip": clip,
        "falls_until": epochs if decay else None,
        "begins_with": digest(module),
        "about": dict(about or {}),
    }
    place = pick_device(device)
    module.to(place)
    steppers = build(optimiser, module)
    history, best, still = History(), {}, set[int]()
    kept = None if checkpoint is None else Place(checkpoint, 0.0, 0.0)
    if kept is None and (found := place_of(identity)) is not None:
        kept, identity = found
    if kept is not None and (before := read_checkpoint(kept.folder, identity)) is not None:
        facts, tensors = before
        history = History(**facts)
        if len(history.losses) > epochs:
            raise IncompatibleFileError(
                f"{kept.folder} is {len(history.losses)} epochs old, {epochs} are asked for; delete it to start anew"
            )
        best = restore(module, steppers, tensors)
    advice = f"lower `learning_rate` ({optimiser.learning_rate:g})"
    advice += "" if clip is None else f" or `clip` ({clip:g})"
    n_steps = -(-n_examples // batch_size)
    todo = range(len(history.losses) + 1, epochs + 1)
    with exact(place), closing(track(range(len(todo) * n_steps), label)) as bar:
        for epoch in todo:
            if patience is not None and epoch - 1 - history.best_epoch >= patience:
                break
            draw = begin_epoch(root, epoch, place)
            batches = deal(n_examples, batch_size, np.random.default_rng([root, epoch]))
            module.train()
            total, moved = 0.0, False
            for step, batch in enumerate(batches, 1):
                when = f"in epoch {epoch}, step {step} of {len(batches)}"
                rows = torch.from_numpy(batch).to(place)
                loss = finite_sum(loss_of(rows, draw), label, when, advice)
                if epoch == step == 1 and len(batch) >= TELLING:
                    history.began = float(loss.detach())
                for stepper in steppers:
                    stepper.zero_grad(set_to_none=True)
                loss.backward()
                if not moved and step > len(batches) // 2:
                    moved = moves(module, float(loss.detach()))
                if clip is not None:
                    clip_gradients(module, clip)
                if decay:
                    gone = (epoch - 1 + (step - 1) / len(batches)) / epochs
                    set_rates(steppers, optimiser.learning_rate * (1 - gone))
                for stepper in steppers:
                    stepper.step()
                total += float(loss.detach()) * len(batch)
                next(bar, None)
            check_weights(module, label, f"in epoch {epoch}", advice)
            if epoch == epochs:  # no step follows that would see where the last one led
                with torch.no_grad():
                    finite_sum(
                        loss_of(torch.from_numpy(batches[-1]).to(place), draw),
                        label,
                        f"after epoch {epoch}",
                        advice,
                    )
            history.losses.append(total / n_examples)
            still |= set() if moved else {epoch}
            if validate is None:
                history.best_epoch = epoch
            else:
                history.scores.append(validated(module, validate, label, epoch))
                if history.best_epoch == 0 or history.scores[-1] > max(history.scores[:-1]):
                    history.best_epoch, best = epoch, copied(module)
            if kept is not None and kept.is_due():
                state = kept_state(module, steppers, best)
                write_checkpoint(kept.folder, identity, history, state)
            score = f", score {history.scores[-1]:.5f}" if history.scores else ""
            log.debug(
                "%s epoch %d/%d: loss %.6g%s", label, epoch, epochs, history.losses[-1], score
            )
    last = history.losses[history.best_epoch - 1]
    check_descent(label, history.began, last, f"in epoch {history.best_epoch}", advice)
    if history.best_epoch in still:
        warnings.warn(
            f"{label} scores everything alike: late in epoch {history.best_epoch} no example moved a layer any more; {advice}",
            DataWarning,
            stacklevel=2,
        )
    if best:
        module.load_state_dict(best)
    module.eval()
    return history


def check_arguments(
    n_examples: int,
    epochs: int,
    batch_size: int,
    clip: float | None,
    patience: int | None,
    *,
    validating: bool,
) -> None:
    """Refuse what cannot be trained; see `train`."""
    if n_examples < 1:
        raise DataError("there is no example to train on; give a log with at least one")
    for name, given in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if given is not None and given < 1:
            raise ConfigError(f"{name} got {given}; allowed: an integer >= 1")
    if clip is not None and not clip > 0:
        raise ConfigError(f"clip got {clip}; allowed: a number above 0, or None")
    if patience is not None and not validating:
        raise ConfigError("patience needs a validation part; give one, or leave `patience` out")


def pick_device(device: str = "auto") -> torch.device:
    """Return the device that `device` means: a GPU if there is one for ``"auto"``.

    Raises
    ------
    ConfigError
        If the name is not known or the GPU is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = device.partition(":")
    if kind not in {"cpu", "cuda"} or (number and not number.isdecimal()):
        raise ConfigError(f"device got {device!r}; allowed: auto, cpu, cuda, cuda:N")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device got {device!r}, but there is no such GPU here; use 'cpu'")
    return torch.device(device)


@contextmanager
def exact(device: torch.device) -> Generator[None]:
    """Ask torch for the same bytes each time; its settings and random state come back afterwards."""
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    gpus = [device] if device.type == "cuda" else []
    unchecked = torch.sparse.check_sparse_tensor_invariants(enable=False)
    with torch.random.fork_rng(gpus), unchecked:
        # cuBLAS wants an environment variable before it is loaded; where it lacks, the rest is still exact.
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")  # noqa: FBT003
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warned)
            memory.fill_uninitialized_memory = fill


def begin_epoch(root: int, epoch: int, device: torch.device) -> torch.Generator:
    """Seed dropout for this epoch and return the generator for everything else."""
    hidden, own = (int(one) for one in np.random.SeedSequence([root, epoch]).generate_state(2))
    torch.default_generator.manual_seed(hidden)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(hidden)
    return torch.Generator(device).manual_seed(own)


def validated(module: nn.Module, validate: Callable[[], float], label: str, epoch: int) -> float:
    """Return the score of the module as it is."""
    module.eval()
    with torch.no_grad():
        score = float(validate())
    if not np.isfinite(score):
        raise NotConvergedError(
            f"{label}: the validation score became {score} in epoch {epoch}; lower `learning_rate`"
        )
    return score


def infer(
    module: nn.Module,
    encode: Callable[[Tensor], Tensor],
    n_examples: int,
    *,
    batch_size: int = 64,
    device: str = "auto",
) -> F32:
    """Call `encode` with rows (batch_size,) until all `n_examples` have an answer; shape (n_examples, d).

    The last batch is filled up with its first row. A row's answer thus comes from a product of the same shape, whether it is
    asked for alone or among others. `module` is in evaluation mode meanwhile.
    """
    place = pick_device(device)
    module.to(place)
    was_training = module.training
    module.eval()
    out: list[F32] = []
    with exact(place), torch.no_grad():
        for start in range(0, max(n_examples, 1), batch_size):
            rows = torch.arange(start, start + batch_size, device=place)
            rows[rows >= n_examples] = start
            rows = rows if n_examples else rows[:0]
            out.append(encode(rows)[: n_examples - start].float().cpu().numpy())
    module.train(was_training)
    return np.concatenate(out)
