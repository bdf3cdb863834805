"""Compiled loops of the drainage chain; `hydrology` is the face of them and loads this module only when asked.

All arrays are flat views of a grid of `ny` rows and `nx` columns. A direction is a D8 code: 1 E, 2 SE, 4 S, 8 SW, 16 W,
32 NW, 64 N, 128 NE; 0 where the water leaves the map or sinks; 247 where there is no data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

NO_DATA = 247
ROWS = np.array([0, 1, 1, 1, 0, -1, -1, -1], dtype=np.int64)
COLS = np.array([1, 1, 0, -1, -1, -1, 0, 1], dtype=np.int64)


@njit(cache=True)
def _push(keys: Any, cells: Any, size: int, key: float, cell: int) -> None:
    """Place one cell in a binary heap whose first `size` entries are in use."""
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if keys[up] <= key:
            break
        keys[i] = keys[up]
        cells[i] = cells[up]
        i = up
    keys[i] = key
    cells[i] = cell


@njit(cache=True)
def _pop(keys: Any, cells: Any, size: int) -> Any:
    """Take the lowest cell from a binary heap of `size` entries; afterwards size - 1 entries are in use."""
    top = cells[0]
    last = size - 1
    key = keys[last]
    cell = cells[last]
    i = 0
    child = 1
    while child < last:
        if child + 1 < last and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i] = keys[child]
        cells[i] = cells[child]
        i = child
        child = 2 * i + 1
    keys[i] = key
    cells[i] = cell
    return top


@njit(cache=True)
def _touches_outside(z: Any, ny: int, nx: int, r: int, c: int) -> bool:
    """Say whether one of the eight neighbours is off the map or without data."""
    for k in range(8):
        rr = r + ROWS[k]
        cc = c + COLS[k]
        if rr < 0 or rr >= ny or cc < 0 or cc >= nx or np.isnan(z[rr * nx + cc]):
            return True
    return False


@njit(cache=True)
def _rim(z: Any, ny: int, nx: int, closed: Any, keys: Any, cells: Any) -> int:
    """Close the cells without data, heap those beside them and at the edge of the map; returns the size of the heap."""
    size = 0
    for i in range(ny * nx):
        if np.isnan(z[i]):
            closed[i] = True
        elif _touches_outside(z, ny, nx, i // nx, i % nx):
            closed[i] = True
            _push(keys, cells, size, z[i], i)
            size += 1
    return size


@njit(cache=True)
def _sources(z: Any, seeds: Any, closed: Any, keys: Any, cells: Any) -> int:
    """Close the cells without data, heap the seeds; returns the size of the heap."""
    size = 0
    for i in range(z.size):
        if np.isnan(z[i]):
            closed[i] = True
        elif seeds[i]:
            closed[i] = True
            _push(keys, cells, size, z[i], i)
            size += 1
    return size


@njit(cache=True)
def flood(z: Any, ny: int, nx: int, seeds: Any) -> Any:
    """Fill from the rim inwards; returns the filled surface f8 and the code towards the cell that was wet before.

    seeds   (ny * nx,) bool cells to start from instead of the rim; empty: the rim
    Cells that no start reaches keep their height and the code 0.

    source  priority flood with a first-in first-out queue inside pits (Barnes, Lehman, Mulla 2014)
    """
    n = ny * nx
    filled = z.copy()
    towards = np.zeros(n, dtype=np.uint8)
    closed = np.zeros(n, dtype=np.bool_)
    keys = np.empty(n, dtype=np.float64)
    cells = np.empty(n, dtype=np.int32)
    queue = np.empty(n, dtype=np.int32)
    size = _sources(z, seeds, closed, keys, cells) if seeds.size > 0 else _rim(z, ny, nx, closed, keys, cells)
    head = 0
    tail = 0
    while size > 0 or head < tail:
        if head < tail:
            i = queue[head]
            head += 1
        else:
            i = _pop(keys, cells, size)
            size -= 1
        r = i // nx
        c = i - r * nx
        for k in range(8):
            rr = r + ROWS[k]
            cc = c + COLS[k]
            if rr < 0 or rr >= ny or cc < 0 or cc >= nx:
                continue
            j = rr * nx + cc
            if closed[j]:
                continue
            closed[j] = True
            towards[j] = 1 << ((k + 4) & 7)
            if z[j] <= filled[i]:
                filled[j] = filled[i]
                queue[tail] = j
                tail += 1
            else:
                _push(keys, cells, size, z[j], j)
                size += 1
    return filled, towards


@njit(cache=True)
def steepest(filled: Any, towards: Any, ny: int, nx: int, dx: float, dy: float) -> Any:
    """D8 codes u1: the steepest neighbour, or on a flat the one nearer to its outlet (`towards` of `flood`)."""
    codes = np.empty(ny * nx, dtype=np.uint8)
    lengths = np.empty(8, dtype=np.float64)
    for k in range(8):
        lengths[k] = np.sqrt((ROWS[k] * dy) ** 2 + (COLS[k] * dx) ** 2)
    for r in range(ny):
        for c in range(nx):
            i = r * nx + c
            if np.isnan(filled[i]):
                codes[i] = NO_DATA
                continue
            best = 0.0
            code = towards[i]
            for k in range(8):
                rr = r + ROWS[k]
                cc = c + COLS[k]
                if rr < 0 or rr >= ny or cc < 0 or cc >= nx:
                    continue
                drop = (filled[i] - filled[rr * nx + cc]) / lengths[k]
                if drop > best:
                    best = drop
                    code = 1 << k
            codes[i] = code
    return codes


@njit(cache=True)
def downstream(codes: Any, ny: int, nx: int) -> Any:
    """Next cell of every cell, i4; -1 where the water leaves the map or sinks, -2 where there is no data."""
    down = np.empty(ny * nx, dtype=np.int32)
    for r in range(ny):
        for c in range(nx):
            i = r * nx + c
            code = codes[i]
            down[i] = -1
            if code == NO_DATA:
                down[i] = -2
                continue
            for k in range(8):
                if code == 1 << k:
                    rr = r + ROWS[k]
                    cc = c + COLS[k]
                    if 0 <= rr < ny and 0 <= cc < nx and codes[rr * nx + cc] != NO_DATA:
                        down[i] = rr * nx + cc
    return down


@njit(cache=True)
def upstream_first(down: Any) -> Any:
    """Cells in an order where every cell stands before the one it drains to, i4; shorter where cells form a loop."""
    n = down.size
    waiting = np.zeros(n, dtype=np.int8)
    for i in range(n):
        if down[i] >= 0:
            waiting[down[i]] += 1
    order = np.empty(n, dtype=np.int32)
    count = 0
    for start in range(n):
        if down[start] == -2 or waiting[start] != 0:
            continue
        i = start
        while True:
            waiting[i] = -1
            order[count] = i
            count += 1
            i = down[i]
            if i < 0:
                break
            waiting[i] -= 1
            if waiting[i] != 0:
                break
    return order[:count]


@njit(cache=True)
def gather(order: Any, down: Any, weight: Any) -> Any:
    """Sum of `weight` over every cell and all that drain to it, f8."""
    total = weight.copy()
    for i in order:
        if down[i] >= 0:
            total[down[i]] += total[i]
    return total


@njit(cache=True)
def first_below(order: Any, down: Any, target: Any) -> Any:
    """First target cell on the way down, the cell itself included, i4; -1 where none is met."""
    found = np.full(down.size, -1, dtype=np.int32)
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        if target[i]:
            found[i] = i
        elif down[i] >= 0:
            found[i] = found[down[i]]
    return found


@njit(cache=True)
def links(order: Any, down: Any, channel: Any, step: Any, longest: float) -> Any:
    """Number of the reach of every channel cell, i4 from 0, -1 elsewhere.

    A reach ends at a junction and once it is `longest` metres; `step` is the way from a cell to the next, f8 m.
    """
    reach = np.full(down.size, -1, dtype=np.int32)
    inflow = np.zeros(down.size, dtype=np.int8)
    length = np.zeros(down.size, dtype=np.float64)
    for i in order:
        if channel[i] and down[i] >= 0:
            inflow[down[i]] += 1
    count = 0
    for i in order:
        if not channel[i]:
            continue
        if reach[i] < 0:
            reach[i] = count
            count += 1
        j = down[i]
        if j >= 0 and channel[j] and inflow[j] == 1 and length[i] + step[i] < longest:
            reach[j] = reach[i]
            length[j] = length[i] + step[i]
    return reach


@njit(cache=True)
def cascade(order: Any, next_pool: Any, inflow: Any, capacity: Any) -> Any:
    """Water kept by each pool and what spills out of the last ones, f8, pools taken from the highest spill down."""
    stored = np.zeros(inflow.size, dtype=np.float64)
    arriving = inflow.copy()
    spilled = 0.0
    for p in order:
        stored[p] = min(arriving[p], capacity[p])
        over = arriving[p] - stored[p]
        if next_pool[p] >= 0:
            arriving[next_pool[p]] += over
        else:
            spilled += over
    return stored, spilled


@njit(cache=True)
def pool_levels(start: Any, z: Any, running: Any, stored: Any, area: float) -> Any:
    """Water level of each pool, f8 m, from its volume; NaN where it is dry.

    z        floor of the pools' cells, pool after pool (`start`), rising inside a pool
    running  running sum of z inside the pool
    """
    levels = np.full(stored.size, np.nan)
    for p in range(stored.size):
        if stored[p] <= 0.0:
            continue
        first = start[p]
        low = 1
        high = start[p + 1] - first
        depth_volume = stored[p] / area
        while low < high:
            mid = (low + high) // 2
            if mid * z[first + mid] - running[first + mid - 1] >= depth_volume:
                high = mid
            else:
                low = mid + 1
        levels[p] = (depth_volume + running[first + low - 1]) / low
    return levels
