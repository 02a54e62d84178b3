"""The speed that the spine promises, as ratios to peers in the same run.

    python -m tests.bench.spine            prints the table; --write puts it into docs/benchmarks.md

Each row times interleaved rounds and keeps the best of each; a peer that is not installed is left out and said so.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

import adc
from tests.bench import page


def rounds(calls: dict[str, Callable[[], Any]], n: int = 7, budget: float = 4.0) -> dict[str, float]:
    """Best seconds of each call over interleaved rounds."""
    best = {}
    for name, call in calls.items():
        start = time.perf_counter()
        call()
        best[name] = time.perf_counter() - start
    for _ in range(n):
        for name, call in calls.items():
            if best[name] * n > budget * 4 and _ > 1:
                continue
            inner = max(1, int(0.02 / max(best[name], 1e-7)))
            start = time.perf_counter()
            for _i in range(inner):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / inner)
    return best


# ---------------------------------------------------------------- Gauss–Seidel in place

def seidel(u, b, sweeps):
    n = u.shape[0]
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
    return np.sum(u * u)


@numba.njit(error_model="numpy")
def seidel_by_hand(u0, b, sweeps):
    u = u0.copy()
    n = u.shape[0]
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j])
    value = 0.0
    g = np.empty_like(u)
    gb = np.zeros_like(b)
    for i in range(n):
        for j in range(n):
            value += u[i, j] * u[i, j]
            g[i, j] = 2.0 * u[i, j]
    for _ in range(sweeps):
        for i in range(n - 2, 0, -1):
            for j in range(n - 2, 0, -1):
                v = 0.25 * g[i, j]
                g[i, j] = 0.0
                gb[i, j] += v
                g[i - 1, j] += v
                g[i + 1, j] += v
                g[i, j - 1] += v
                g[i, j + 1] += v
    return value, g, gb


def seidel_in_jax(sweeps: int) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def f(u, b):
        n = u.shape[0]

        def cell(k, u):
            i, j = 1 + (k // (n - 2)) % (n - 2), 1 + k % (n - 2)
            return u.at[i, j].set(0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + b[i, j]))

        return jnp.sum(jax.lax.fori_loop(0, sweeps * (n - 2) ** 2, cell, u) ** 2)

    g = jax.jit(jax.value_and_grad(f, argnums=(0, 1)))
    return lambda u, b: jax.block_until_ready(g(u, b))


# ---------------------------------------------------------------- Lorenz by RK4

def lorenz(theta, n):
    sigma, rho, beta = theta[0], theta[1], theta[2]
    x, y, z = 1.0, 1.0, 1.0
    h = 0.001
    total = 0.0
    for _ in range(n):
        k1x, k1y, k1z = sigma * (y - x), x * (rho - z) - y, x * y - beta * z
        ax, ay, az = x + 0.5 * h * k1x, y + 0.5 * h * k1y, z + 0.5 * h * k1z
        k2x, k2y, k2z = sigma * (ay - ax), ax * (rho - az) - ay, ax * ay - beta * az
        bx, by, bz = x + 0.5 * h * k2x, y + 0.5 * h * k2y, z + 0.5 * h * k2z
        k3x, k3y, k3z = sigma * (by - bx), bx * (rho - bz) - by, bx * by - beta * bz
        cx, cy, cz = x + h * k3x, y + h * k3y, z + h * k3z
        k4x, k4y, k4z = sigma * (cy - cx), cx * (rho - cz) - cy, cx * cy - beta * cz
        x += h / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x)
        y += h / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y)
        z += h / 6.0 * (k1z + 2.0 * k2z + 2.0 * k3z + k4z)
        total += x * x
    return total / n


# ---------------------------------------------------------------- a nonlinear elementwise loop

def chain(x, a, steps):
    for _ in range(steps):
        x = np.sin(a * x) + 0.5 * x
    return np.sum(x)


@numba.njit(error_model="numpy")
def chain_by_hand(x0, a, steps):
    n = x0.shape[0]
    tape = np.empty((steps, n))
    x = x0.copy()
    for t in range(steps):
        for i in range(n):
            tape[t, i] = x[i]
            x[i] = np.sin(a * x[i]) + 0.5 * x[i]
    value = 0.0
    g = np.ones(n)
    ga = 0.0
    for i in range(n):
        value += x[i]
    for t in range(steps - 1, -1, -1):
        for i in range(n):
            x_in = tape[t, i]
            c = np.cos(a * x_in) * g[i]
            ga += c * x_in
            g[i] = c * a + 0.5 * g[i]
    return value, g, ga


# ---------------------------------------------------------------- Jacobi: a linear stencil keeps no tape

def jacobi(u, steps):
    v = u.copy()
    for _ in range(steps):
        v[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u, v = v, u
    return np.sum(u * u)


def jacobi_memory() -> tuple[float, float]:
    """Peak memory beyond the start in arrays of 500 × 500, and seconds, in a process of its own."""
    code = (
        "import time, numpy as np, adc\n"
        # the high-water mark of this process's own memory: ru_maxrss would start with the parent's
        "peak = lambda: next(int(x.split()[1]) for x in open('/proc/self/status') if x.startswith('VmHWM'))\n"
        "from tests.bench.spine import jacobi\n"
        "g = adc.grad(jacobi)\n"
        "g(np.ones((20, 20)), 2)\n"
        "u = np.random.default_rng(0).random((500, 500))\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = peak()\n"
        "t = time.perf_counter(); g(u, 200); t = time.perf_counter() - t\n"
        "after = peak()\n"
        "print((after - before) * 1024 / u.nbytes, t)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), float(out[1])


# ---------------------------------------------------------------- first calls and overhead

def first_call(lines: int) -> float:
    """Seconds of the first gradient call of a function of some `lines` lines, cold cache, new process."""
    body = "\n".join(f"    x{k + 1} = np.sin(x{k}) * w + x{k} / (1.0 + x{k} ** 2)" for k in range(lines))
    source = f"import numpy as np\n\ndef f(w, x0):\n{body}\n    return np.sum(x{lines})\n"
    code = (
        "import time, sys, tempfile, os, numpy as np\n"
        "d = tempfile.mkdtemp(); os.environ['ADC_CACHE_DIR'] = d + '/cache'; sys.path.insert(0, d)\n"
        f"open(d + '/model.py', 'w').write({source!r})\n"
        "t = time.perf_counter()\n"
        "import adc, model\n"
        "adc.grad(model.f)(1.5, np.linspace(0, 1, 8))\n"
        "print(time.perf_counter() - t)\n"
        "import subprocess\n"
        "warm = 'import time, sys, numpy as np; sys.path.insert(0, sys.argv[1]); t = time.perf_counter(); import adc, model; '\n"
        "warm += 'adc.grad(model.f)(1.5, np.linspace(0, 1, 8)); print(time.perf_counter() - t, \"numba\" in sys.modules)'\n"
        "print(subprocess.run([sys.executable, '-c', warm, d], capture_output=True, text=True).stdout)\n"
    )
    # the package's bytecode is there, as after `pip install`: the first of two processes writes it
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(2):
            out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout.split()
    return float(out[0]), float(out[1]), out[2]  # type: ignore[return-value]


def table() -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    rng = np.random.default_rng(0)

    u, b = rng.random((120, 120)), rng.random((120, 120))
    g = adc.value_and_grad(seidel, argnums=(0, 1))
    want = seidel_by_hand(u, b, 10)
    got = g(u, b, 10)
    np.testing.assert_allclose(got[1][0], want[1], rtol=1e-10)
    np.testing.assert_allclose(got[1][1], want[2], rtol=1e-10)
    calls = {"adc": lambda: g(u, b, 10), "hand": lambda: seidel_by_hand(u, b, 10)}
    try:
        in_jax = seidel_in_jax(10)
        in_jax(u[:8, :8], b[:8, :8])
        calls["jax"] = lambda: in_jax(u, b)
    except ImportError:
        pass
    t = rounds(calls)
    rows.append(("Gauss–Seidel in place, N=120, 10 sweeps", f"{t['adc'] * 1e3:.2f} ms", f"{t['adc'] / t['hand']:.2f}× Numba by hand", "≤ 1.3×"))
    if "jax" in t:
        rows.append(("", f"JAX {t['jax'] * 1e3:.0f} ms", f"{t['jax'] / t['adc']:.0f}× faster than JAX fori_loop", "≥ 300×"))

    theta = np.array([10.0, 28.0, 8.0 / 3.0])
    primal = numba.njit(error_model="numpy")(lorenz)
    gl = adc.value_and_grad(lorenz)
    t = rounds({"adc": lambda: gl(theta, 10_000), "primal": lambda: primal(theta, 10_000)})
    rows.append(("Lorenz RK4, 10,000 steps", f"{t['adc'] * 1e3:.3f} ms", f"{t['adc'] / t['primal']:.2f}× Numba primal", "≤ 4×"))

    x = rng.random(1000)
    gc = adc.value_and_grad(chain, argnums=(0, 1))
    want = chain_by_hand(x, 1.3, 1000)
    np.testing.assert_allclose(gc(x, 1.3, 1000)[1][0], want[1], rtol=1e-9, atol=1e-12)
    t = rounds({"adc": lambda: gc(x, 1.3, 1000), "hand": lambda: chain_by_hand(x, 1.3, 1000)})
    rows.append(("nonlinear elementwise loop, 1,000 × 1,000", f"{t['adc'] * 1e3:.2f} ms", f"{t['adc'] / t['hand']:.2f}× taped by hand", "≤ 1.5×"))

    arrays, seconds = jacobi_memory()
    rows.append(("Jacobi 500×500, 200 steps: peak memory", f"{arrays:.1f} arrays", f"{seconds * 1e3:.0f} ms", "< 6 arrays"))

    for lines, bar in ((10, "< 2 s"), (100, "< 6 s")):
        cold, warm, numba_seen = first_call(lines)  # type: ignore[misc]
        rows.append((f"first call, {lines} lines", f"{cold:.2f} s", f"warm cache {warm:.3f} s, Numba imported: {numba_seen}", bar))

    small = np.ones(3)
    go = adc.grad(lambda v: np.sum(v * v))
    go(small)
    t = rounds({"adc": lambda: go(small)})
    rows.append(("call overhead, one small array", f"{t['adc'] * 1e6:.2f} µs", "", "< 5 µs"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    rows = table()
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("numpy", "numba", "llvmlite"))
    text = "| what | adc | ratio | promise |\n|---|---|---|---|\n"
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    print(text)
    if parser.parse_args().write:
        head = (
            "## The promises of the compiler\n\nWritten by `python -m tests.bench.spine --write`: best of interleaved rounds, each ratio from one run.\n\n"
            f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {versions}, {_cpu()}, 2 cores, "
            f"peak memory of this run {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB.\n\n"
        )
        page.write("spine", head + text)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
