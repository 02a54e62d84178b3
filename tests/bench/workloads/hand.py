"""Hand tracking (ADBench): 26 angles move a skin of 544 vertices; the Jacobian of the distances to measured points.

Simple: a point belongs to a vertex, [3 p, 26].  Complicated: it belongs to a place (u0, u1) in a triangle, and the two numbers of each
point's own place stand before, [3 p, 2 + 26], compressed as in ADBench.  `cpp_manual` is ADBench's hand-written C++, where a copy of it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import adc
from kernels.hand import skin
from tests.bench import adbench
from tests.bench.hand import adbench_cpp
from tests.bench.workload import Workload

SIZES = {1: 100, 5: 800}
MODEL = ("parents", "base_relative", "inverse_base", "base", "weights")


def simple(theta, parents, base_relative, inverse_base, base, weights, matches, points):
    """[p, 3]"""
    vertices = skin(theta, parents, base_relative, inverse_base, base, weights)
    return points - vertices[:, matches].T


def complicated(theta, us, parents, base_relative, inverse_base, base, weights, corners, points):
    """[p, 3]; corners [p, 3] are the vertices of each point's triangle."""
    vertices = skin(theta, parents, base_relative, inverse_base, base, weights)
    a, b, c = vertices[:, corners[:, 0]].T, vertices[:, corners[:, 1]].T, vertices[:, corners[:, 2]].T
    u, v = us[:, 0][:, None], us[:, 1][:, None]
    return points - (u * a + v * b + (1.0 - u - v) * c)


def at_places(theta, shift, us, *rest):
    """`shift` [2] moves every point's own place alike: its two columns are the compressed derivatives in `us`."""
    return complicated(theta, us + shift, *rest)


SIMPLE = adc.jacfwd(simple)
COMPLICATED = adc.jacfwd(at_places, argnums=(0, 1))
PRIMAL_SIMPLE, PRIMAL_COMPLICATED = adc.jit(simple), adc.jit(complicated)


def inputs(kind: str, number: int, size: int) -> tuple[Any, ...]:
    return kind, adbench.hand(kind, number, size)


def arguments(kind: str, data: dict[str, Any]) -> tuple[Any, ...]:
    model = tuple(data[k] for k in MODEL)
    if kind == "simple":
        return data["theta"], *model, data["matches"], data["points"]
    return data["theta"], data["us"], *model, data["triangles"][data["matches"]], data["points"]


def adc_call(kind, data):
    args = arguments(kind, data)
    if kind == "simple":
        return lambda: SIMPLE(*args)
    theta, *rest = args
    shift = np.zeros(2)

    def call():
        by_theta, by_place = COMPLICATED(theta, shift, *rest)
        return np.concatenate([by_place, by_theta], axis=2)

    return call


def primal(kind, data):
    args = arguments(kind, data)
    fun = PRIMAL_SIMPLE if kind == "simple" else PRIMAL_COMPLICATED
    return lambda: fun(*args)


def numba_hand(kind, data):
    from tests.bench.hand.hand import jacobian, lists

    args = arguments(kind, data)
    bones, shares = lists(data["weights"])
    if kind == "simple":
        theta, parents, relative, inverse, base, _, matches, points = args
        return lambda: jacobian(theta, parents, relative, inverse, base, bones, shares, matches[:, None], points, np.zeros((0, 2)))
    theta, us, parents, relative, inverse, base, _, corners, points = args
    return lambda: jacobian(theta, parents, relative, inverse, base, bones, shares, corners, points, us)


def cpp_manual(kind, data):
    return adbench_cpp.hand(data if kind == "complicated" else {k: a for k, a in data.items() if k != "us"})


def in_jax(kind, data):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    parents = data["parents"]
    relative, inverse, base, weights = (jnp.asarray(data[k]) for k in MODEL[1:])
    points = jnp.asarray(data["points"])

    def euler(angles):
        (cx, cz, cy), (sx, sz, sy) = jnp.cos(angles), jnp.sin(angles)
        rows = [
            [cy * cz, sx * sy * cz - cx * sz, sx * sz + cx * sy * cz, 0.0],
            [cy * sz, cx * cz + sx * sy * sz, cx * sy * sz - sx * cz, 0.0],
            [-sy, sx * cy, cx * cy, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ]
        return jnp.stack([jnp.stack([jnp.asarray(x, float) for x in row]) for row in rows])

    def vertices(theta):
        angles = jnp.zeros((len(parents), 3))
        at, row = 6, 2
        for _ in range(5):
            angles = angles.at[row, 0].set(theta[at]).at[row, 1].set(theta[at + 1])
            angles = angles.at[row + 1, 0].set(theta[at + 2]).at[row + 2, 0].set(theta[at + 3])
            at, row = at + 4, row + 4
        turned = jnp.einsum("bij,bjk->bik", relative, jax.vmap(euler)(angles))
        absolute: list[Any] = []
        for i, parent in enumerate(parents):
            absolute.append(turned[i] if parent < 0 else absolute[parent] @ turned[i])
        moved = jnp.einsum("bij,bjk->bik", jnp.stack(absolute), inverse)[:, :3]
        positions = jnp.einsum("bv,bik,kv->iv", weights, moved, base)
        axis = theta[:3]
        angle = jnp.sqrt(jnp.sum(axis**2))
        x, y, z = axis / angle
        zero = jnp.zeros(())
        cross = jnp.stack([jnp.stack([zero, -z, y]), jnp.stack([z, zero, -x]), jnp.stack([-y, x, zero])])
        turn = jnp.eye(3) + jnp.sin(angle) * cross + (1.0 - jnp.cos(angle)) * (cross @ cross)
        return turn @ positions + theta[3:6, None]

    if kind == "simple":
        matches = jnp.asarray(data["matches"])
        fun = jax.jit(jax.jacfwd(lambda theta: points - vertices(theta)[:, matches].T))
        theta = jnp.asarray(data["theta"])
        return lambda: jax.block_until_ready(fun(theta))
    corners, us = jnp.asarray(data["triangles"][data["matches"]]), jnp.asarray(data["us"])

    def places(numbers):
        shift, theta = numbers[:2], numbers[2:]
        a, b, c = (vertices(theta)[:, corners[:, k]].T for k in range(3))
        u, v = us[:, :1] + shift[0], us[:, 1:] + shift[1]
        return points - (u * a + v * b + (1.0 - u - v) * c)

    fun = jax.jit(jax.jacfwd(places))
    numbers = jnp.concatenate([jnp.zeros(2), jnp.asarray(data["theta"])])
    return lambda: jax.block_until_ready(fun(numbers))


WORKLOAD = Workload(
    title="hand tracking, Jacobian",
    cases={f"{kind}_hand{k}": {"kind": kind, "number": k, "size": size} for kind in ("simple", "complicated") for k, size in SIZES.items()},
    inputs=inputs,
    adc={"adc": adc_call},
    primal={"adc": primal},
    columns={f"{kind}_hand{k}": columns for kind, columns in (("simple", 26), ("complicated", 28)) for k in SIZES},
    peers={"numba_hand": numba_hand, "jax": in_jax} | ({"cpp_manual": cpp_manual} if adbench_cpp.folder() else {}),
    small={"size": 7, "number": 0},
)
