"""Compiled loops of the plane finder; `planes` is the face of them.

Points of one building, local metres, sorted into square bins of one radius, so that the neighbours of a point lie in
its bin and the eight around it: `near` is (points, radius, bins). Moments are ten sums: n, x, y, z, xx, xy, yy, xz,
yz, zz.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

MOMENTS = 10


@njit(cache=True)
def bins(xyz: Any, radius: float) -> Any:
    """(n,) order of the points by bin, (nb + 1,) first place of every bin, (n,) bin of every point, bins in a row."""
    n = len(xyz)
    x0, y0 = xyz[:, 0].min(), xyz[:, 1].min()
    nx = int((xyz[:, 0].max() - x0) / radius) + 3
    ny = int((xyz[:, 1].max() - y0) / radius) + 3
    of = np.empty(n, np.int64)
    start = np.zeros(nx * ny + 1, np.int64)
    for i in range(n):
        of[i] = (int((xyz[i, 1] - y0) / radius) + 1) * nx + int((xyz[i, 0] - x0) / radius) + 1
        start[of[i] + 1] += 1
    for k in range(nx * ny):
        start[k + 1] += start[k]
    fill = start[:-1].copy()
    order = np.empty(n, np.int64)
    for i in range(n):
        order[fill[of[i]]] = i
        fill[of[i]] += 1
    return order, start, of, nx


@njit(cache=True)
def around(i: int, near: Any, found: Any) -> int:
    """Fill `found` with the points within `radius` of point i in plan, itself included; returns how many."""
    xyz, radius, index = near
    order, start, of, nx = index
    count = 0
    limit = radius * radius
    for row in range(-1, 2):
        first = start[of[i] + row * nx - 1]
        last = start[of[i] + row * nx + 2]
        for k in range(first, last):
            j = order[k]
            dx, dy = xyz[j, 0] - xyz[i, 0], xyz[j, 1] - xyz[i, 1]
            if dx * dx + dy * dy <= limit and count < len(found):
                found[count] = j
                count += 1
    return count


@njit(cache=True)
def add(moments: Any, x: float, y: float, z: float) -> None:
    """Add one point to ten moments."""
    moments[0] += 1.0
    moments[1] += x
    moments[2] += y
    moments[3] += z
    moments[4] += x * x
    moments[5] += x * y
    moments[6] += y * y
    moments[7] += x * z
    moments[8] += y * z
    moments[9] += z * z


@njit(cache=True)
def fit(m: Any) -> Any:
    """(a, b, c, rms) of z = a x + b y + c by least squares of z; rms is vertical, infinite where no plane is held."""
    n = m[0]
    if n < 3.0:
        return 0.0, 0.0, 0.0, np.inf
    mx, my, mz = m[1] / n, m[2] / n, m[3] / n
    xx, xy, yy = m[4] / n - mx * mx, m[5] / n - mx * my, m[6] / n - my * my
    xz, yz, zz = m[7] / n - mx * mz, m[8] / n - my * mz, m[9] / n - mz * mz
    det = xx * yy - xy * xy
    if det <= 1e-6 * (xx + yy) * (xx + yy) + 1e-12:
        return 0.0, 0.0, mz, np.inf
    a, b = (xz * yy - yz * xy) / det, (yz * xx - xz * xy) / det
    left = zz - a * xz - b * yz
    return a, b, mz - a * mx - b * my, np.sqrt(max(left, 0.0))


@njit(cache=True)
def fitted(moments: Any) -> Any:
    """(p, 3) planes of moments (p, 10)."""
    plane = np.empty((len(moments), 3))
    for k in range(len(moments)):
        plane[k, 0], plane[k, 1], plane[k, 2], _ = fit(moments[k])
    return plane


@njit(cache=True)
def locals_of(near: Any) -> Any:
    """(n, 3) slope in x, slope in y and distance rms of the plane through the neighbours of every point."""
    xyz = near[0]
    n = len(xyz)
    found = np.empty(64, np.int64)
    shape = np.empty((n, 3))
    moments = np.empty(MOMENTS)
    for i in range(n):
        count = around(i, near, found)
        moments[:] = 0.0
        for k in range(count):
            j = found[k]
            add(moments, xyz[j, 0] - xyz[i, 0], xyz[j, 1] - xyz[i, 1], xyz[j, 2] - xyz[i, 2])
        a, b, _, rms = fit(moments)
        shape[i, 0], shape[i, 1] = a, b
        shape[i, 2] = rms / np.sqrt(1.0 + a * a + b * b) if count >= 5 else np.inf
    return shape


@njit(cache=True)
def fits(xyz: Any, j: int, shape: Any, plane: Any, eps: float, least_cos: float) -> bool:
    """True where point j lies on the plane, and looks the way the plane looks if it lies on a face at all."""
    a, b, c = plane
    size = np.sqrt(1.0 + a * a + b * b)
    if abs(xyz[j, 2] - a * xyz[j, 0] - b * xyz[j, 1] - c) > eps * size:
        return False
    if shape[j, 2] > 0.7 * eps:
        return True
    p, q = shape[j, 0], shape[j, 1]
    return (1.0 + a * p + b * q) >= least_cos * size * np.sqrt(1.0 + p * p + q * q)


@njit(cache=True)
def grow(seed: int, mark: int, near: Any, shape: Any, label: Any, limits: Any) -> Any:
    """Give `mark` to all points that hang together with the seed on one plane; (moments, number of points, queue)."""
    xyz = near[0]
    eps, least_cos = limits
    found = np.empty(64, np.int64)
    queue = np.empty(len(xyz), np.int64)
    queue[0], filled, done = seed, 1, 0
    label[seed] = mark
    a, b = shape[seed, 0], shape[seed, 1]
    plane = (a, b, xyz[seed, 2] - a * xyz[seed, 0] - b * xyz[seed, 1])
    moments = np.zeros(MOMENTS)
    again = 12
    while done < filled:
        i = queue[done]
        done += 1
        add(moments, xyz[i, 0], xyz[i, 1], xyz[i, 2])
        if done == again:
            a, b, c, rms = fit(moments)
            if rms < np.inf:
                plane = (a, b, c)
            again = int(1.5 * again)
        for k in range(around(i, near, found)):
            j = found[k]
            if label[j] == -1 and fits(xyz, j, shape, plane, eps, least_cos):
                label[j] = mark
                queue[filled] = j
                filled += 1
    return moments, filled, queue


@njit(cache=True)
def regions(near: Any, shape: Any, limits: Any, least: int) -> Any:
    """(n,) region of every point, -1 where none, and moments (p, 10) of the regions; the flattest seeds grow first."""
    xyz = near[0]
    n = len(xyz)
    label = np.full(n, -1, np.int64)
    sums = np.zeros((n // max(least, 1) + 1, MOMENTS))
    count = 0
    for seed in np.argsort(shape[:, 2], kind="mergesort"):
        if shape[seed, 2] > limits[0]:
            break
        if label[seed] != -1:
            continue
        moments, size, queue = grow(seed, count, near, shape, label, limits)
        if size >= least:
            sums[count] = moments
            count += 1
        else:
            for k in range(size):
                label[queue[k]] = -1
            label[seed] = -2
    for i in range(n):
        if label[i] == -2:
            label[i] = -1
    return label, sums[:count].copy()


@njit(cache=True)
def joined(label: Any, sums: Any, eps: float) -> Any:
    """Regions that lie on one plane put together: (n,) label, (q, 10) moments."""
    p = len(sums)
    to = np.arange(p)
    for a in range(p):
        for b in range(a + 1, p):
            if to[a] != a or to[b] != b:
                continue
            both = sums[a] + sums[b]
            rms = fit(both)[3]
            if rms < 0.6 * eps and rms < 1.5 * max(fit(sums[a])[3], fit(sums[b])[3], 0.03):
                sums[a] = both
                to[b] = a
    new = np.full(p, -1, np.int64)
    count = 0
    for a in range(p):
        if to[a] == a:
            sums[count] = sums[a]
            new[a] = count
            count += 1
    for i in range(len(label)):
        k = label[i]
        if k >= 0:
            while to[k] != k:
                k = to[k]
            label[i] = new[k]
    return label, sums[:count].copy()


@njit(cache=True)
def adopt(near: Any, label: Any, planes: Any, eps: float) -> Any:
    """Points of no region take the plane of a neighbour that they lie on within twice `eps`."""
    xyz = near[0]
    found = np.empty(64, np.int64)
    whole = label.copy()
    for i in range(len(xyz)):
        if label[i] >= 0:
            continue
        best = 2.0 * eps
        for k in range(around(i, near, found)):
            p = label[found[k]]
            if p < 0:
                continue
            a, b, c = planes[p]
            off = abs(xyz[i, 2] - a * xyz[i, 0] - b * xyz[i, 1] - c) / np.sqrt(1.0 + a * a + b * b)
            if off < best:
                best = off
                whole[i] = p
    return whole


@njit(cache=True)
def contacts(near: Any, label: Any) -> Any:
    """(c, 4) f8: both planes (lower first) and the middle of every pair of neighbours on different planes."""
    xyz = near[0]
    found = np.empty(64, np.int64)
    size = 0
    pairs = np.empty((64, 4))
    for i in range(len(xyz)):
        if label[i] < 0:
            continue
        for k in range(around(i, near, found)):
            j = found[k]
            if label[j] <= label[i]:
                continue
            if size == len(pairs):
                wider = np.empty((2 * size, 4))
                wider[:size] = pairs
                pairs = wider
            pairs[size, 0], pairs[size, 1] = label[i], label[j]
            pairs[size, 2] = 0.5 * (xyz[i, 0] + xyz[j, 0])
            pairs[size, 3] = 0.5 * (xyz[i, 1] + xyz[j, 1])
            size += 1
    return pairs[:size].copy()


@njit(cache=True)
def spread(near: Any, label: Any) -> Any:
    """(n,) labels carried on, ring after ring, to neighbours in plan that have none, from the nearest that has one."""
    xyz = near[0]
    found = np.empty(64, np.int64)
    whole = label.copy()
    moved = True
    while moved:
        moved = False
        before = whole.copy()
        for i in range(len(xyz)):
            if before[i] >= 0:
                continue
            best = np.inf
            for k in range(around(i, near, found)):
                j = found[k]
                off = (xyz[j, 0] - xyz[i, 0]) ** 2 + (xyz[j, 1] - xyz[i, 1]) ** 2
                if before[j] >= 0 and off < best:
                    best = off
                    whole[i] = before[j]
                    moved = True
    return whole


@njit(cache=True)
def groups(contact: Any, count: int) -> Any:
    """(count,) number of the group of planes that hang together by contacts."""
    group = np.arange(count)
    for k in range(len(contact)):
        one, other = group[int(contact[k, 0])], group[int(contact[k, 1])]
        if one != other:
            low, high = min(one, other), max(one, other)
            for p in range(count):
                if group[p] == high:
                    group[p] = low
    return group
