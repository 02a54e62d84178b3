"""Bundle adjustment: the sparse Jacobian of all reprojection errors, 15 numbers a row (11 camera, 3 point, 1 weight).

`cpp_manual` is ADBench's hand-written C++, where a copy of it is (hand/adbench_cpp.py); `numba_hand` is the same derivation, compiled by Numba.
"""

from __future__ import annotations

from typing import Any

import adc
from kernels.ba import project
from tests.bench import adbench
from tests.bench.hand import adbench_cpp
from tests.bench.workload import Workload


def residual(cam, point, weight, pixel):
    """[2]: one observation."""
    return weight * (project(cam, point) - pixel)


def residuals(cams, points, weights, seen, pixels):
    """[2 p]: all observations; `seen` [p, 2] says which camera and which point."""
    return adc.vmap(residual)(cams[seen[:, 0]], points[seen[:, 1]], weights, pixels).ravel()


SPARSE = adc.jacobian(residuals, argnums=(0, 1, 2))
BLOCKS = adc.vmap(adc.jacfwd(residual, argnums=(0, 1, 2)))
PRIMAL = adc.jit(adc.vmap(residual))


def inputs(n: int, m: int, p: int) -> tuple[Any, ...]:
    return adbench.ba(n, m, p)


def parts(rows: Any) -> tuple[Any, ...]:
    """[p, 2, 11], [p, 2, 3], [p, 2, 1] of [p, 2, 15]"""
    return rows[:, :, :11], rows[:, :, 11:14], rows[:, :, 14:]


def adc_sparse(*args):
    p = len(args[2])

    def call():
        by_camera, by_point, by_weight = SPARSE(*args)
        return by_camera.data.reshape(p, 2, 11), by_point.data.reshape(p, 2, 3), by_weight.data.reshape(p, 2, 1)

    return call


def adc_blocks(cams, points, weights, seen, pixels):
    i, j = seen[:, 0], seen[:, 1]

    def call():
        by_camera, by_point, by_weight = BLOCKS(cams[i], points[j], weights, pixels)
        return by_camera, by_point, by_weight[:, :, None]

    return call


def primal(cams, points, weights, seen, pixels):
    i, j = seen[:, 0], seen[:, 1]
    return lambda: PRIMAL(cams[i], points[j], weights, pixels)


def numba_hand(cams, points, weights, seen, pixels):
    from tests.bench.hand.ba import jacobian

    return lambda: parts(jacobian(cams, points, weights, seen, pixels)[0])


def cpp_manual(*args):
    call = adbench_cpp.ba(*args)
    return lambda: parts(call())


def in_jax(cams, points, weights, seen, pixels):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def one(cam, x, weight, pixel):
        axis = cam[:3]
        theta = jnp.sqrt(jnp.sum(axis * axis))
        v, w = x - cam[3:6], axis / theta
        p = v * jnp.cos(theta) + jnp.cross(w, v) * jnp.sin(theta) + w * (jnp.dot(w, v) * (1.0 - jnp.cos(theta)))
        u = p[:2] / p[2]
        square = jnp.sum(u * u)
        return weight * (u * (1.0 + cam[9] * square + cam[10] * square * square) * cam[6] + cam[7:9] - pixel)

    def all_rows(cams, points, weights, seen, pixels):
        jacobian = jax.vmap(jax.jacrev(one, argnums=(0, 1, 2)))
        c, x, w = jacobian(cams[seen[:, 0]], points[seen[:, 1]], weights, pixels)
        return c, x, w[:, :, None]

    fun = jax.jit(all_rows)
    own = [jnp.asarray(a) for a in (cams, points, weights, seen, pixels)]
    return lambda: jax.block_until_ready(fun(*own))


WORKLOAD = Workload(
    title="bundle adjustment, Jacobian",
    cases={"ba1": {"n": 49, "m": 7776, "p": 31843}},
    inputs=inputs,
    adc={"adc": adc_sparse, "adc_vmap": adc_blocks},
    primal={"adc": primal},
    peers={"numba_hand": numba_hand, "jax": in_jax} | ({"cpp_manual": cpp_manual} if adbench_cpp.folder() else {}),
    small={"n": 3, "m": 5, "p": 15},
)
