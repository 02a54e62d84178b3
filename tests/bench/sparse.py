"""Sparse Jacobians and Hessians: bundle adjustment (ADBench ba1), stencils, partially separable sums, beside code written by hand.

    python -m tests.bench.sparse            prints the table

Rounds are interleaved; the best of each is kept, in wall time and in processor time (which another program beside does not
stretch), on one worker and on all.  The hand-written peer of bundle adjustment is C, compiled here where there is a compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import adc

CAMERAS, POINTS, OBSERVATIONS = 49, 7776, 31843


# ---------------------------------------------------------------- bundle adjustment


def rotated(rot, x):
    squared = rot[0] * rot[0] + rot[1] * rot[1] + rot[2] * rot[2]
    if squared > 0.0:
        angle = np.sqrt(squared)
        c, s = np.cos(angle), np.sin(angle)
        w = rot / angle
        cross = np.array([w[1] * x[2] - w[2] * x[1], w[2] * x[0] - w[0] * x[2], w[0] * x[1] - w[1] * x[0]])
        return x * c + cross * s + w * ((w[0] * x[0] + w[1] * x[1] + w[2] * x[2]) * (1.0 - c))
    return x + np.array([rot[1] * x[2] - rot[2] * x[1], rot[2] * x[0] - rot[0] * x[2], rot[0] * x[1] - rot[1] * x[0]])


def projected(camera, x):
    """Camera: rotation 3, centre 3, focal length, principal point 2, radial distortion 2."""
    p = rotated(camera[:3], x - camera[3:6])
    q = p[:2] / p[2]
    r = q[0] * q[0] + q[1] * q[1]
    return q * (1.0 + camera[9] * r + camera[10] * r * r) * camera[6] + camera[7:9]


def residuals(cameras, points, weights, seen, features):
    r = np.zeros((len(seen), 2))
    for i in range(len(seen)):
        r[i] = weights[i] * (projected(cameras[seen[i, 0]], points[seen[i, 1]]) - features[i])
    return r, 1.0 - weights * weights


def residual(camera, point, weight, feature):
    return weight * (projected(camera, point) - feature)


def mapped(cameras, points, weights, seen, features):
    return adc.vmap(residual)(cameras[seen[:, 0]], points[seen[:, 1]], weights, features), 1.0 - weights * weights


def scene(n: int = OBSERVATIONS) -> tuple[Any, ...]:
    """In the form of ADBench's ba1: one camera and one point each, with small differences."""
    rng = np.random.default_rng(1)
    camera = np.array([-0.758453, -1.109613, -0.845551, 34.556073, 39.676747, 53.881673, 419.194514, 5.864426, -8.518870, 0.087812, 0.002739])
    point = np.array([7.203245, 0.001144, 3.023326])
    cameras = camera * rng.uniform(0.99, 1.01, (CAMERAS, 11))
    points = point * rng.uniform(0.99, 1.01, (POINTS, 3))
    k = np.arange(n)
    seen = np.stack([k % CAMERAS, k % POINTS], axis=1)
    return cameras, points, np.full(n, 0.417022), seen, np.array([271.760969, 834.209256]) * rng.uniform(0.99, 1.01, (n, 2))


BY_HAND = r"""
#include <math.h>
#include <string.h>
static void rotated(const double *r, const double *p, double *out, double *Jr, double *Jp) {
    double sq = r[0]*r[0] + r[1]*r[1] + r[2]*r[2];
    if (sq > 0) {
        double th = sqrt(sq), c = cos(th), s = sin(th), inv = 1.0/th, w[3], x[3];
        for (int i = 0; i < 3; i++) w[i] = r[i]*inv;
        x[0] = w[1]*p[2]-w[2]*p[1]; x[1] = w[2]*p[0]-w[0]*p[2]; x[2] = w[0]*p[1]-w[1]*p[0];
        double dot = w[0]*p[0]+w[1]*p[1]+w[2]*p[2], tmp = dot*(1-c);
        for (int i = 0; i < 3; i++) out[i] = p[i]*c + x[i]*s + w[i]*tmp;
        Jp[0] = c+(1-c)*w[0]*w[0]; Jp[1] = -s*w[2]+(1-c)*w[0]*w[1]; Jp[2] = s*w[1]+(1-c)*w[0]*w[2];
        Jp[3] = s*w[2]+(1-c)*w[1]*w[0]; Jp[4] = c+(1-c)*w[1]*w[1]; Jp[5] = -s*w[0]+(1-c)*w[1]*w[2];
        Jp[6] = -s*w[1]+(1-c)*w[2]*w[0]; Jp[7] = s*w[0]+(1-c)*w[2]*w[1]; Jp[8] = c+(1-c)*w[2]*w[2];
        for (int j = 0; j < 3; j++) {
            double dth = w[j], dw[3], dx[3];
            for (int i = 0; i < 3; i++) dw[i] = ((i == j) - w[i]*w[j])*inv;
            dx[0] = dw[1]*p[2]-dw[2]*p[1]; dx[1] = dw[2]*p[0]-dw[0]*p[2]; dx[2] = dw[0]*p[1]-dw[1]*p[0];
            double ddot = dw[0]*p[0]+dw[1]*p[1]+dw[2]*p[2];
            for (int i = 0; i < 3; i++)
                Jr[3*i+j] = -p[i]*s*dth + dx[i]*s + x[i]*c*dth + dw[i]*tmp + w[i]*(ddot*(1-c) + dot*s*dth);
        }
    } else {
        double a[9] = {0,p[2],-p[1],-p[2],0,p[0],p[1],-p[0],0}, b[9] = {1,-r[2],r[1],r[2],1,-r[0],-r[1],r[0],1};
        out[0] = p[0]+r[1]*p[2]-r[2]*p[1]; out[1] = p[1]+r[2]*p[0]-r[0]*p[2]; out[2] = p[2]+r[0]*p[1]-r[1]*p[0];
        memcpy(Jr, a, sizeof a); memcpy(Jp, b, sizeof b);
    }
}
/* rows of 11 camera, 3 point and 1 weight column, then the weights' own */
void jacobian(long n, const double *cams, const double *pts, const double *ws, const long *seen, double *vals) {
    for (long i = 0; i < n; i++) {
        const double *cam = cams + 11*seen[2*i], *X = pts + 3*seen[2*i+1];
        double w = ws[i], y[3], Jr[9], Jp[9], d[3];
        for (int k = 0; k < 3; k++) d[k] = X[k] - cam[3+k];
        rotated(cam, d, y, Jr, Jp);
        double u = y[0]/y[2], v = y[1]/y[2], rr = u*u+v*v, L = 1+cam[9]*rr+cam[10]*rr*rr, dL = cam[9]+2*cam[10]*rr, f = cam[6];
        double a = L+2*u*u*dL, b = 2*u*v*dL, e = L+2*v*v*dL, iz = 1/y[2], G[6];
        G[0] = f*a*iz; G[1] = f*b*iz; G[2] = -(G[0]*u+G[1]*v); G[3] = f*b*iz; G[4] = f*e*iz; G[5] = -(G[3]*u+G[4]*v);
        for (int r = 0; r < 2; r++) {
            double *o = vals + 30*i + 15*r, *g = G + 3*r, xy = r ? v : u;
            for (int j = 0; j < 3; j++) {
                double t = w*(g[0]*Jp[j]+g[1]*Jp[3+j]+g[2]*Jp[6+j]);
                o[j] = w*(g[0]*Jr[j]+g[1]*Jr[3+j]+g[2]*Jr[6+j]); o[3+j] = -t; o[11+j] = t;
            }
            o[6] = w*xy*L; o[7] = r ? 0 : w; o[8] = r ? w : 0; o[9] = w*f*xy*rr; o[10] = w*f*xy*rr*rr; o[14] = xy*L*f + cam[7+r];
        }
        vals[30*n+i] = -2*w;
    }
}
"""


def by_hand(args: tuple[Any, ...]) -> Callable[[], Any] | None:
    """The same entries in C; None without a compiler.  (Column 14 leaves the feature out, as it costs nothing.)"""
    compiler = next((c for c in ("gcc", "clang", "cc") if shutil.which(c)), None)
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="adc-bench-"))
    (folder / "ba.c").write_text(BY_HAND)
    subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", str(folder / "ba.so"), str(folder / "ba.c"), "-lm"], check=True)
    fun = ctypes.CDLL(str(folder / "ba.so")).jacobian
    cameras, points, weights, seen, _ = args
    out = np.zeros(31 * len(seen))
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in (cameras, points, weights, seen.astype(np.int64), out)]

    def call() -> Any:
        fun(ctypes.c_long(len(seen)), *pointers)
        return out

    return call


# ---------------------------------------------------------------- others


def broyden(x):
    padded = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return (3.0 - 2.0 * x) * x - padded[:-2] - 2.0 * padded[2:] + 1.0


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def broyden_by_hand(x):
    n = len(x)
    return sparse.diags_array([np.full(n - 1, -1.0), 3.0 - 4.0 * x, np.full(n - 1, -2.0)], offsets=[-1, 0, 1], format="csr")


def rosenbrock_by_hand(x):
    n = len(x)
    main = np.zeros(n)
    main[:-1] += 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    main[1:] += 200.0
    side = -400.0 * x[:-1]
    return sparse.diags_array([side, main, side], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def cases() -> dict[str, dict[str, Callable[[], Any]]]:
    args, x = scene(), np.random.default_rng(2).uniform(0.5, 1.5, 200_000)
    found: dict[str, dict[str, Callable[[], Any]]] = {"bundle adjustment (ba1)": {}}
    for name, f in (("adc, loop", residuals), ("adc, vmap", mapped)):
        J = adc.jacobian(f, argnums=(0, 1, 2))
        found["bundle adjustment (ba1)"][name] = lambda J=J: J(*args)
    hand = by_hand(args)
    if hand is not None:
        found["bundle adjustment (ba1)"]["C by hand"] = hand
        mine, theirs = found["bundle adjustment (ba1)"]["adc, loop"](), hand()[: 30 * len(args[3])].reshape(-1, 15)
        for k, (first, last) in enumerate(((0, 11), (11, 14))):
            np.testing.assert_allclose(mine[0][k].data.reshape(len(theirs), -1), theirs[:, first:last], rtol=1e-9, atol=1e-9)
    J, H = adc.jacobian(broyden), adc.sparse_hessian(rosenbrock)
    found["tridiagonal Jacobian, 200,000"] = {"adc": lambda: J(x), "NumPy by hand": lambda: broyden_by_hand(x)}
    found["Rosenbrock Hessian, 200,000"] = {"adc": lambda: H(x), "NumPy by hand": lambda: rosenbrock_by_hand(x)}
    for group in list(found.values())[1:]:
        a, b = (call() for call in group.values())
        assert abs(a - b).max() < 1e-9 * abs(b).max()
    return found


def rounds(calls: dict[str, Callable[[], Any]], n: int) -> dict[str, tuple[float, float]]:
    """(best wall time, best processor time) of each call in milliseconds, over interleaved rounds."""
    best = {name: (np.inf, np.inf) for name in calls}
    for _ in range(n):
        for name, call in calls.items():
            wall, used = time.perf_counter(), time.process_time()
            call()
            used, wall = time.process_time() - used, time.perf_counter() - wall
            best[name] = (min(best[name][0], 1e3 * wall), min(best[name][1], 1e3 * used))
    return best


def plan_times() -> None:
    """How long the first call takes to find pattern and colours, beside compiling."""
    args = scene()
    for mode in ("blocks", "forward"):
        J = adc.jacobian(residuals, argnums=(0, 1, 2), mode=mode, target="numpy")
        J.plan((*args[:3], args[3][:10], args[4][:10]), {})  # staged before
        start = time.perf_counter()
        J.plan(args, {})
        print(f"plan of bundle adjustment by {mode}: {time.perf_counter() - start:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    plan_times()
    found = cases()
    for workers in (1, adc.get_num_threads()):
        adc.set_num_threads(workers)
        print(f"\n{workers} worker{'s' if workers > 1 else ''}: milliseconds, best of {options.rounds} rounds")
        for title, calls in found.items():
            for name, (wall, used) in rounds(calls, options.rounds).items():
                print(f"{title:32} {name:16} wall {wall:8.2f}   processor {used:8.2f}")


if __name__ == "__main__":
    main()
