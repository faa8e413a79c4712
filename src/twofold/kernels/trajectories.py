"""The likelihood of trajectories in JNTM: states forward, errors of the softmax, gradients backward in time.

Yang, Sun, Zhao, Liu & Chang (2017). A user's events l_1 ... l_n are cut into sub-trajectories. The state
from which event t is predicted has up to four parts of d numbers each,

    x_t = [P_u; F_u; S_t; h_t]    preference, network vector, short term, long term,
    S_t = tanh(U_l(t-1) + W S_t-1),  at the head of a sub-trajectory S_t = tanh(W s_0),
    h_t = the long-term state after the events of all sub-trajectories before that of t,

and the long-term state runs over all events by a gated unit without an output gate,

    i = sigma(A_i U_l + B_i h + b_i),  g = tanh(A_g U_l + B_g h + b_g),  f = sigma(A_f U_l + B_f h + b_f),
    c = i g + f c_before,  h = tanh(c),  at first c = c_0.

What all users share lies in the rows of one array (7 d + 5, d), in the order W, A, B (i, g, f each), b, s_0,
c_0. One thread takes a lane of users; lanes have gradients of their own, which are added in their order.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from twofold.kernels._dot import dot
from twofold.kernels._jit import kernel
from twofold.typing import F32, F64, I32, I64, Bool

LANES = 8
"""Groups of the users of a batch, hence the most threads that can work at once."""


@kernel()
def add(out: F32, scale: float, row: F32) -> None:
    """Out += scale * row, both (d,)."""
    for f in range(len(out)):
        out[f] += scale * row[f]


@kernel()
def clipped(gradient: F32, most: float) -> None:
    """Scale a vector down to the norm `most` where it is longer."""
    norm = np.sqrt(dot(gradient, gradient))
    if norm > most:
        for f in range(len(gradient)):
            gradient[f] *= most / norm


@kernel()
def short_step(w: F32, state: F32, u: F32, reads: bool, out: F32) -> None:
    """Fill `out` (d,) with tanh(u + W state), or tanh(W state) where there is nothing to read."""
    for k in range(len(out)):
        a = dot(w[k], state)
        if reads:
            a += u[k]
        out[k] = np.tanh(a)


@kernel()
def first_state(shared: F32, out: F32) -> None:
    """Fill `out` (d,) with S at the head of a sub-trajectory; `shared` (7 d + 5, d) is what all users share."""
    short_step(shared, shared[7 * len(out) + 3], out, False, out)


@kernel()
def long_step(a: F32, b: F32, bias: F32, u: F32, h: F32, c: F32, gates: F32, after: F32) -> None:
    """Fill `gates` (3 d,) with i, g, f and `after` (d,) with i g + f c."""
    d = len(c)
    for k in range(3 * d):
        z = dot(a[k], u) + dot(b[k], h) + bias[k // d, k % d]
        gates[k] = np.tanh(z) if d <= k < 2 * d else 1 / (1 + np.exp(-z))
    for k in range(d):
        after[k] = gates[k] * gates[d + k] + gates[2 * d + k] * c[k]


@kernel()
def softmax_errors(x: F32, table: F32, choice: I32, error: F32, dx: F32) -> float:
    """Return -ln p of the first of the choices; fill `error` with p - [first] and `dx` with its sum of rows.

    p is the softmax of x . table[choice]; x and dx (D,), choice and error (n,).
    """
    first = dot(x, table[choice[0]])
    top = error[0] = first
    for c in range(1, len(choice)):
        error[c] = dot(x, table[choice[c]])
        top = max(top, error[c])
    total = 0.0
    for c in range(len(choice)):
        error[c] = np.exp(error[c] - top)
        total += error[c]
    dx[:] = 0
    for c in range(len(choice)):
        error[c] /= total
        if c == 0:
            error[c] -= 1
        add(dx, error[c], table[choice[c]])
    return np.log(total) - (first - top)


@kernel()
def back_short(
    head: I64,
    x: F32,
    dx: F32,
    u: F32,
    shared: F32,
    at: int,
    most: float,
    du: F32,
    grow: F32,
) -> None:
    """Carry the gradients of the short-term states of one user back; part `at` of x and dx is S.

    head (n,), x, dx (n, D), du (n, d). Adds to `du` and to `grow`, the gradient of `shared`.
    """
    d = u.shape[1]
    start = 7 * d + 3  # s_0
    carry, pull = np.zeros(d, u.dtype), np.empty(d, u.dtype)
    for t in range(len(head) - 1, -1, -1):
        for f in range(d):
            carry[f] += dx[t, at + f]
        clipped(carry, most)
        for f in range(d):
            pull[f] = carry[f] * (1 - x[t, at + f] * x[t, at + f])
            carry[f] = 0
        for k in range(d):
            add(carry, pull[k], shared[k])
        if head[t] == t:
            for k in range(d):
                add(grow[k], pull[k], shared[start])
            add(grow[start], 1.0, carry)
            carry[:] = 0
        else:
            for k in range(d):
                add(grow[k], pull[k], x[t - 1, at : at + d])
            add(du[t - 1], 1.0, pull)


@kernel()
def back_long(
    head: I64,
    item: I32,
    dx: F32,
    u: F32,
    shared: F32,
    at: int,
    most: float,
    cell: F32,
    gates: F32,
    du: F32,
    grow: F32,
) -> None:
    """Carry the gradients of the long-term states of one user back; part `at` of dx is h.

    cell (n, d) holds the states before every event, gates (n, 3 d) those of the events. Adds to `du` (n, d) and
    to `grow`, the gradient of `shared`.
    """
    d = u.shape[1]
    a, b, bias = d, 4 * d, 7 * d
    n = len(head)
    asked = np.zeros((n, d), u.dtype)
    for t in range(n):
        add(asked[head[t]], 1.0, dx[t, at : at + d])
    dc, dh, h = np.zeros(d, u.dtype), np.zeros(d, u.dtype), np.empty(d, u.dtype)
    dz = np.empty(3 * d, u.dtype)
    for t in range(head[n - 1], -1, -1):
        for f in range(d):
            h[f] = np.tanh(cell[t, f])
        dh[:] = 0
        if t < head[n - 1]:  # dc is the gradient of the state after event t
            for f in range(d):
                i, g, keep = gates[t, f], gates[t, d + f], gates[t, 2 * d + f]
                dz[f] = dc[f] * g * i * (1 - i)
                dz[d + f] = dc[f] * i * (1 - g * g)
                dz[2 * d + f] = dc[f] * cell[t, f] * keep * (1 - keep)
                dc[f] *= keep
            for k in range(3 * d):
                grow[bias + k // d, k % d] += dz[k]
                add(grow[a + k], dz[k], u[item[t]])
                add(grow[b + k], dz[k], h)
                add(du[t], dz[k], shared[a + k])
                add(dh, dz[k], shared[b + k])
        for f in range(d):
            dc[f] += (dh[f] + asked[t, f]) * (1 - h[f] * h[f])
        clipped(dc, most)
    add(grow[7 * d + 4], 1.0, dc)


@kernel(parallel=True)
def trajectory_states(
    lane: I64,
    users: I32,
    start: I64,
    item: I32,
    head: I64,
    p: F32,
    network: F32,
    u: F32,
    shared: F32,
    parts: I64,
    x: F32,
    cell: F32,
    gates: F32,
) -> None:
    """Fill the states of a batch of users from which their events are predicted.

    Parameters
    ----------
    lane : (l + 1,)
        Where the users of each lane begin.
    users, start : (b,), (b + 1,)
        User rows, and where their events begin.
    item, head : (e,)
        Item rows, and the first event of the same sub-trajectory, both counted in the batch.
    p, network, u, shared : (n, d), (n, d), (m, d), (7 d + 5, d)
        Preferences, network vectors, places as inputs, what all users share.
    parts : (4,)
        Where preference, network vector, short and long term begin in a state of D numbers; -1 = left out.
    x, cell, gates : (e, D), (e, d), (e, 3 d)
        Out: states, the long-term states before the events, and the gates of the events; the latter two as far
        as a later sub-trajectory reads them.
    """
    d = u.shape[1]
    for part in prange(len(lane) - 1):
        for row in range(lane[part], lane[part + 1]):
            user, begin, end = users[row], start[row], start[row + 1]
            n = end - begin
            own, first, states = item[begin:end], head[begin:end] - begin, x[begin:end]
            cells = cell[begin:end]
            if parts[3] >= 0:
                long_states(own, u, shared, first[n - 1], cells, gates[begin:end])
            for t in range(n):
                if parts[0] >= 0:
                    states[t, parts[0] : parts[0] + d] = p[user]
                if parts[1] >= 0:
                    states[t, parts[1] : parts[1] + d] = network[user]
                if parts[2] >= 0:
                    at = parts[2]
                    if first[t] == t:
                        first_state(shared, states[t, at : at + d])
                    else:
                        before = states[t - 1, at : at + d]
                        short_step(shared, before, u[own[t - 1]], True, states[t, at : at + d])
                if parts[3] >= 0:
                    for f in range(d):
                        states[t, parts[3] + f] = np.tanh(cells[first[t], f])


@kernel(parallel=True)
def choice_errors(
    x: F32, table: F32, choice: I32, count: I64, error: F32, dx: F32, loss: F64
) -> None:
    """Fill errors, gradients of the states and -ln p of events, each with a softmax over choices of its own.

    x (e, D) are the states and table (m, D) the places as outputs; choice (e, width) holds ``count[e]`` items,
    the true one first. Out: error (e, width), dx (e, D), loss (e,).
    """
    for e in prange(len(x)):
        some = choice[e, : count[e]]
        loss[e] = softmax_errors(x[e], table, some, error[e, : count[e]], dx[e])


@kernel(parallel=True)
def trajectory_gradients(
    lane: I64,
    start: I64,
    item: I32,
    head: I64,
    x: F32,
    dx: F32,
    cell: F32,
    gates: F32,
    u: F32,
    shared: F32,
    parts: I64,
    most: float,
    du: F32,
    dp: F32,
    dnetwork: F32,
    lanes: F32,
) -> None:
    """Carry the gradients of the states, dx (e, D), back to what they were made from; see `trajectory_states`.

    No gradient of a recurrent state is longer than `most`. Out: du (e, d) by event, dp and dnetwork (b, d) by
    user, and lanes (l, 7 d + 5, d), the gradient of `shared` by lane, which is added to what is there.
    """
    d = u.shape[1]
    for part in prange(len(lane) - 1):
        for row in range(lane[part], lane[part + 1]):
            begin, end = start[row], start[row + 1]
            first, pulls, mine = head[begin:end] - begin, dx[begin:end], du[begin:end]
            mine[:] = 0
            dp[row] = 0
            dnetwork[row] = 0
            for t in range(end - begin):
                for f in range(d):
                    if parts[0] >= 0:
                        dp[row, f] += pulls[t, parts[0] + f]
                    if parts[1] >= 0:
                        dnetwork[row, f] += pulls[t, parts[1] + f]
            if parts[2] >= 0:
                back_short(first, x[begin:end], pulls, u, shared, parts[2], most, mine, lanes[part])
            if parts[3] >= 0:
                back_long(
                    first, item[begin:end], pulls, u, shared, parts[3], most, cell[begin:end],
                    gates[begin:end], mine, lanes[part],
                )  # fmt: skip


@kernel()
def long_states(item: I32, u: F32, shared: F32, steps: int, cell: F32, gates: F32) -> None:
    """Fill the first steps + 1 rows of `cell` with c_0 and the states after each of the first items, and their `gates`."""
    d = u.shape[1]
    a, b, bias = shared[d : 4 * d], shared[4 * d : 7 * d], shared[7 * d : 7 * d + 3]
    h = np.empty(d, u.dtype)
    cell[0] = shared[7 * d + 4]
    for t in range(steps):
        for f in range(d):
            h[f] = np.tanh(cell[t, f])
        long_step(a, b, bias, u[item[t]], h, cell[t], gates[t], cell[t + 1])


@kernel(parallel=True)
def advance_states(
    start: I64, item: I32, resets: Bool, u: F32, shared: F32, cell: F32, head: F32, short: F32
) -> None:
    """Let n people's states read their next events, in place.

    `start` (n + 1,) and `item` (e,) are the events, and `resets` (e,) is true where one begins a
    sub-trajectory. `cell` (n, d) is the long-term state after all events, `head` (n, d) that at the head of
    the sub-trajectory, and `short` (n, d) the short-term state from which the next event is predicted.
    """
    d = u.shape[1]
    a, b, bias = shared[d : 4 * d], shared[4 * d : 7 * d], shared[7 * d : 7 * d + 3]
    for row in prange(len(start) - 1):
        h, next_ = np.empty(d, u.dtype), np.empty(d, u.dtype)
        gates = np.empty(3 * d, u.dtype)
        for e in range(start[row], start[row + 1]):
            if resets[e]:
                head[row] = cell[row]
                first_state(shared, short[row])
            short_step(shared, short[row], u[item[e]], True, next_)
            short[row] = next_
            for f in range(d):
                h[f] = np.tanh(cell[row, f])
            long_step(a, b, bias, u[item[e]], h, cell[row], gates, next_)
            cell[row] = next_
