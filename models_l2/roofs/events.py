"""Compiled: what happens where pieces of a front vanish or meet, one place at a time.

All events at a place are one: the pieces of front that come in and go out there are rays around it; what is not yet
swept lies in the sectors from each outgoing ray to the next incoming one, turning left; every sector goes on with one
new vertex. Edge events, splits, and meetings of any number of vertices are cases of this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from models_l2.roofs.front import (
    LIVING,
    NODES,
    VERTICES,
    add_arc,
    add_node,
    add_vertex,
    aim,
    aim_again,
    along,
    place_of,
    start_front,
)

MOST = 32
# rad; an incoming ray this little to the right of an outgoing one may lie on it, and never more than that.
BESIDE, CLOSE = 1e-5, 0.5
GOOD, UNENDING, UNPAIRED, UNCLOSED, UNSOUND = 0, 1, 2, 3, 4


@njit(cache=True, error_model="numpy")
def run(x: Any, y: Any, following: Any, edges: Any, near: float) -> Any:
    """(code, front): the front after it has shrunk to nothing; its nodes and arcs are the straight skeleton."""
    front = start_front(x, y, following, edges, near)
    chains = np.zeros((MOST, 4), np.int64)
    now = 0.0
    while front.count[LIVING] > 0:
        first, by_strike, when = _next(front)
        full = max(front.count[VERTICES], front.count[NODES]) + MOST > len(front.vertex)
        if first < 0 or full:
            return UNENDING, front
        now = max(now, when)
        node = _meet(front, first, by_strike, now)
        number = _gather(front, chains, (first, by_strike, node))
        if number < 0 or not _go_on(front, chains[:number], node):
            return UNPAIRED, front
    return GOOD, front


@njit(cache=True, error_model="numpy")
def _next(front: Any) -> Any:
    """(vertex, whether it strikes, time) of the first event to come."""
    first, by_strike, when = -1, False, np.inf
    for k in range(front.count[VERTICES]):
        v = front.vertex[k]
        if v.living and v.ends < when:
            first, by_strike, when = k, False, v.ends
        if v.living and v.strikes < when:
            first, by_strike, when = k, True, v.strikes
    return first, by_strike, when


@njit(cache=True, error_model="numpy")
def _meet(front: Any, first: int, by_strike: bool, now: float) -> int:
    """The node where an event takes place; every vertex that is there is marked as a member."""
    at = other = first
    if not by_strike:
        a, other = front.vertex[first], front.vertex[first].after
        b = front.vertex[other]
        # The slower of the two knows better where it is.
        if abs(b.vx) + abs(b.vy) < abs(a.vx) + abs(a.vy):
            at = other
    x, y = place_of(front, at, now)
    for k in range(front.count[VERTICES]):
        v = front.vertex[k]
        if v.living:
            vx, vy = place_of(front, k, now)
            v.member = k in (first, other) or (vx - x) ** 2 + (vy - y) ** 2 <= front.near * front.near
        else:
            v.member = False
    return add_node(front, x, y, now)


@njit(cache=True, error_model="numpy")
def _gather(front: Any, chains: Any, event: Any) -> int:
    """Number of chains of front through the node of an event, -1 where there are too many.

    chains   (c, 4): edge coming in and vertex it comes from, edge going out and vertex it goes to
    """
    number = 0
    for k in range(front.count[VERTICES]):
        a = front.vertex[k]
        if not a.living:
            continue
        if number == len(chains):
            return -1
        if a.member and not front.vertex[a.before].member:
            last = k
            while front.vertex[front.vertex[last].after].member:
                last = front.vertex[last].after
            chains[number] = (a.into, a.before, front.vertex[last].out, front.vertex[last].after)
            number += 1
        elif not a.member and not front.vertex[a.after].member and _passes(front, k, event):
            chains[number] = (a.out, k, a.out, a.after)
            number += 1
    return number


@njit(cache=True, error_model="numpy")
def _passes(front: Any, k: int, event: Any) -> bool:
    """Whether the piece that begins at k runs through the node of an event, not counting its ends."""
    first, by_strike, node = event
    if by_strike and front.vertex[first].struck == k:
        return True
    place, begin = front.node[node], front.vertex[k]
    edge = front.edge[begin.out]
    if abs(edge.ux * place.y - edge.uy * place.x - edge.c - place.t) > front.near:
        return False
    here = edge.ux * place.x + edge.uy * place.y
    left, right = along(front, begin.out, k, place.t), along(front, begin.out, begin.after, place.t)
    return left + front.near < here < right - front.near


@njit(cache=True, error_model="numpy")
def _go_on(front: Any, chains: Any, node: int) -> bool:
    """End the members at a node and start one vertex in each sector around it; False where the rays do not pair."""
    old, ended = front.count[VERTICES], 0
    for k in range(old):
        v = front.vertex[k]
        if v.member:
            add_arc(front, v.node, node, k)
            v.living = False
            ended += 1
    front.count[LIVING] -= ended
    mates = np.full(len(chains), -1, np.int64)
    if (len(chains) == 1 and ended == 1) or not _pair(front, chains, node, mates):
        return False
    for i in range(len(chains)):
        k = add_vertex(front, node, chains[i, 0], chains[mates[i], 2])
        front.vertex[k].before, front.vertex[k].after = chains[i, 1], chains[mates[i], 3]
    new = np.arange(old, front.count[VERTICES])
    for k in new:
        v = front.vertex[k]
        front.vertex[v.before].after, front.vertex[v.after].before = k, k
    for k in new:
        _close_pair(front, k)
    _look_ahead(front, new, front.node[node].t)
    return True


@njit(cache=True, error_model="numpy")
def _look_ahead(front: Any, new: Any, now: float) -> None:
    """Foresee the events of new vertices, and of all others with the pieces beside them."""
    touched, number = np.empty(2 * len(new), np.int64), 0
    for k in new:
        v = front.vertex[k]
        if v.living:
            touched[number], touched[number + 1] = k, v.before
            number += 2
    for k in new:
        if front.vertex[k].living:
            aim(front, k, now)
    aim_again(front, touched[:number], now)


@njit(cache=True, error_model="numpy")
def _close_pair(front: Any, k: int) -> None:
    """A chain of two vertices encloses nothing: draw the ridge between them and end both."""
    v, other = front.vertex[k], front.vertex[k].before
    if v.living and v.after == other:
        add_arc(front, front.vertex[other].node, v.node, other)
        v.living, front.vertex[other].living = False, False
        front.count[LIVING] -= 2 if other != k else 1


@njit(cache=True, error_model="numpy")
def _pair(front: Any, chains: Any, node: int, mates: Any) -> bool:
    """For each chain that comes in, the chain whose outgoing ray is the next on its right; True where all differ."""
    taken = np.zeros(len(chains), np.bool_)
    for i in range(len(chains)):
        least, length = np.inf, _distance(front, chains[i, 1], node)
        for j in range(len(chains)):
            turn = _turn(front.edge[chains[j, 2]], front.edge[chains[i, 0]])
            # What is no wider than `near` at its mouth may narrow inward, and is a sector without width.
            short = min(length, _distance(front, chains[j, 3], node))
            if turn > 2.0 * np.pi - min(max(BESIDE, 2.0 * front.near / short), CLOSE):
                turn = 0.0
            if turn < least:
                least, mates[i] = turn, j
        if taken[mates[i]]:
            return False
        taken[mates[i]] = True
    return True


@njit(cache=True, error_model="numpy")
def _distance(front: Any, k: int, node: int) -> float:
    place = front.node[node]
    x, y = place_of(front, k, place.t)
    return np.sqrt((x - place.x) ** 2 + (y - place.y) ** 2)


@njit(cache=True, error_model="numpy")
def _turn(going: Any, coming: Any) -> float:
    """Angle to the left from the ray along which one edge goes out to that from which another comes in, 0 .. 2 pi."""
    turn = np.arctan2(going.uy * coming.ux - going.ux * coming.uy, -going.ux * coming.ux - going.uy * coming.uy)
    return turn if turn >= 0.0 else turn + 2.0 * np.pi
