"""One pass of multi-context CBOW in small batches, in parallel and reproducible.

Each batch is read from the parameters as they were before it: the examples side by side first, then the
rows that they touched, each row by one thread and in the order of the batch. So the results depend on
the size of a batch, and not on the number of threads. Every row has a step size of its own (AdaGrad;
Duchi, Hazan & Singer 2011), from the mean square of its gradients, because an hour is met in every
batch and a rare place in few.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._context_arrays import Batch, Examples, Outputs, Tables, Touched
from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.kernels._random import GOLDEN, mix, stream
from twofold.kernels.noise import draw_token
from twofold.kernels.sample_log import uniform
from twofold.typing import F32, I32

PARTS = 16
"""Shares of a batch, and of the rows, hence the most threads that can work at once."""
TINY = np.float32(1e-8)
"""Keeps the first step of a row finite."""


@kernel(fastmath=False)
def choose_outputs(target: int, state: np.uint64, outputs: Outputs, row: I32, label: F32) -> int:
    """Fill `row` and `label` with the outputs of one target; return how many there are.

    Negatives are drawn from all items, the target among them, as Eq. 4 says; so v . h tends to
    ln P(target) - ln(k P_n(target)) in a catalogue of any size.
    """
    if len(outputs.path_ends):
        first = outputs.path_ends[target]
        count = outputs.path_ends[target + 1] - first
        for at in range(count):
            row[at] = outputs.node[first + at]
            label[at] = 1.0 - outputs.bit[first + at]
        return count
    row[0], label[0] = target, 1.0
    for k in range(1, outputs.negatives + 1):
        state += GOLDEN
        row[k] = draw_token(
            state, outputs.members, outputs.accept, outputs.other, 0, len(outputs.members)
        )
        label[k] = 0.0
    return outputs.negatives + 1


@kernel()
def aggregate(
    example: int,
    state: np.uint64,
    examples: Examples,
    table: F32,
    share: F32,
    by_feature: bool,
    weight: F32,
    out: F32,
) -> bool:
    """Fill `out` (d,) with h, the weighted sum of the contexts of one example; say whether there are any.

    ``weight[k]`` is what each feature of kind k counts for: 1 / (all features told) where `by_feature`, else
    exp(share[k]) / (kinds n_k) with n_k features of the kind. Each kind is left out with its chance; where
    all would be, all are told.
    """
    kinds = len(weight)
    first = example * kinds
    for f in range(len(out)):
        out[f] = 0.0
    total = 0
    for attempt in range(2):
        for k in range(kinds):
            count = examples.ends[first + k + 1] - examples.ends[first + k]
            weight[k] = 0.0
            if count > 0 and (attempt == 1 or uniform(state, k) < examples.told[k]):
                weight[k] = np.exp(share[k]) / np.float32(kinds * count)
                total += count
        if total > 0:
            break
    for k in range(kinds):
        if weight[k] > 0:
            if by_feature:
                weight[k] = np.float32(1.0) / np.float32(total)
            for at in range(examples.ends[first + k], examples.ends[first + k + 1]):
                row = table[examples.feature[at]]
                for f in range(len(out)):
                    out[f] += weight[k] * row[f]
    return total > 0


@kernel()
def look(
    place: int,
    example: int,
    state: np.uint64,
    examples: Examples,
    outputs: Outputs,
    tables: Tables,
    by_feature: bool,
    batch: Batch,
) -> None:
    """Write what one example asks for into row `place` of the batch.

    The objective is the sum over its outputs of ln sigma(v . h) or ln sigma(-v . h).
    """
    target = examples.target[example]
    rows, slopes, pull, h = (
        batch.output[place], batch.slope[place], batch.pull[place], batch.vector[place],
    )  # fmt: skip
    batch.loss[place] = 0.0
    batch.tilt[place] = 0.0
    pull[:] = 0.0
    rows[:] = -1
    weight = batch.weight[place]
    if uniform(state, 0) >= examples.keep[target]:
        weight[:] = 0.0
        return
    if not aggregate(
        example, mix(state), examples, tables.context, tables.share, by_feature, weight, h
    ):
        return
    count = choose_outputs(target, state, outputs, rows, slopes)
    total = 0.0
    for at in range(count):
        row = tables.output[rows[at]]
        score = dot(row, h)
        signed = score if slopes[at] > 0.5 else -score
        total += max(-signed, np.float32(0.0)) + np.log1p(np.exp(-abs(signed)))
        slopes[at] -= np.float32(1.0) / (np.float32(1.0) + np.exp(-score))
        for f in range(len(h)):
            pull[f] += slopes[at] * row[f]
    batch.loss[place] = total
    for k in range(len(weight)):
        if weight[k] > 0 and not by_feature:
            cell = example * len(weight) + k
            for at in range(examples.ends[cell], examples.ends[cell + 1]):
                own = dot(pull, tables.context[examples.feature[at]])
                batch.tilt[place, k] += weight[k] * own


@kernel()
def collect_outputs(held: int, batch: Batch, touched: Touched) -> int:
    """List the outputs of the first `held` places of a batch; return how many entries there are."""
    count = 0
    for place in range(held):
        for at in range(batch.output.shape[1]):
            row = batch.output[place, at]
            if row >= 0:
                touched.row[count] = row
                touched.place[count] = place
                touched.scale[count] = batch.slope[place, at]
                count += 1
    return count


@kernel()
def collect_contexts(order: I32, examples: Examples, batch: Batch, touched: Touched) -> int:
    """List the features of the examples in `order` (held,); return how many entries there are."""
    count, kinds = 0, batch.weight.shape[1]
    for place in range(len(order)):
        for k in range(kinds):
            weight = batch.weight[place, k]
            if weight > 0:
                cell = order[place] * kinds + k
                for at in range(examples.ends[cell], examples.ends[cell + 1]):
                    touched.row[count] = examples.feature[at]
                    touched.place[count] = place
                    touched.scale[count] = weight
                    count += 1
    return count


@kernel(parallel=True)
def climb(
    count: int, touched: Touched, source: F32, table: F32, squares: F32, rate: float, reg: float
) -> None:
    """Move every touched row of `table` (n, d) up its gradient by AdaGrad.

    The gradient of a row is the sum of scale * source[place] over its entries, of which there are `count`,
    less reg times the row. `squares` (n,) holds the sums of mean squares of the gradients so far.
    """
    n_rows, d = 0, table.shape[1]
    for entry in range(count - 1, -1, -1):
        row = touched.row[entry]
        if touched.first[row] < 0:
            touched.distinct[n_rows] = row
            n_rows += 1
        touched.following[entry] = touched.first[row]
        touched.first[row] = entry
    for part in prange(PARTS):
        gradient = np.empty(d, np.float32)
        for at in range(n_rows * part // PARTS, n_rows * (part + 1) // PARTS):
            row = touched.distinct[at]
            moved = table[row]
            for f in range(d):
                gradient[f] = -np.float32(reg) * moved[f]
            entry = touched.first[row]
            while entry >= 0:
                scale, vector = touched.scale[entry], source[touched.place[entry]]
                for f in range(d):
                    gradient[f] += scale * vector[f]
                entry = touched.following[entry]
            squares[row] += dot(gradient, gradient) / np.float32(d)
            pace = np.float32(rate) / np.sqrt(squares[row] + TINY)
            for f in range(d):
                moved[f] += pace * gradient[f]
    for at in range(n_rows):
        touched.first[touched.distinct[at]] = -1


@kernel(parallel=True)
def context_epoch(
    order: I32,
    examples: Examples,
    outputs: Outputs,
    tables: Tables,
    batch: Batch,
    contexts: Touched,
    touched: Touched,
    by_feature: bool,
    learn_shares: bool,
    seed: int,
    first_rate: float,
    last_rate: float,
    reg: float,
) -> float:
    """Pass once over the examples in `order` (n,), changing `tables`; return the mean loss an example.

    The step size falls evenly from `first_rate` to `last_rate`. The random numbers of an example depend on
    `seed` and on the example alone. The mean is over the examples that subsampling left.
    """
    n, size, kinds = len(order), len(batch.loss), len(tables.share)
    total, seen = 0.0, 0
    for start in range(0, n, size):
        now = order[start : start + size]
        held = len(now)
        rate = first_rate + (last_rate - first_rate) * start / n
        for part in prange(PARTS):
            for place in range(held * part // PARTS, held * (part + 1) // PARTS):
                look(
                    place,
                    now[place],
                    stream(seed, now[place]),
                    examples,
                    outputs,
                    tables,
                    by_feature,
                    batch,
                )
        count = collect_contexts(now, examples, batch, contexts)
        climb(count, contexts, batch.pull, tables.context, tables.context_squares, rate, reg)
        count = collect_outputs(held, batch, touched)
        climb(count, touched, batch.vector, tables.output, tables.output_squares, rate, reg)
        if learn_shares:
            for k in range(kinds):
                slope = np.float32(0.0)
                for place in range(held):
                    slope += batch.tilt[place, k]
                tables.share_squares[k] += slope * slope
                pace = np.float32(rate) / np.sqrt(tables.share_squares[k] + TINY)
                tables.share[k] += pace * slope
        for place in range(held):
            total += batch.loss[place]
            seen += batch.output[place, 0] >= 0
    return total / max(seen, 1)
