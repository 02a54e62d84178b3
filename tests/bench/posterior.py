"""Effective samples per second of one sampler, nutpie, with the gradients of adc, JAX and PyTensor.

    python -m tests.bench.posterior                           adc and, where installed, JAX and PyTensor (through PyMC)
    python -m tests.bench.posterior --pymc-python PATH        PyTensor in another environment: it wants another Numba
    python -m tests.bench.posterior --write                   into docs/benchmarks.md, between its own marks

Two posteriors: eight schools (10 parameters, tiny: what a call costs) and logistic regression on the breast cancer
data (569 × 30: what a gradient costs).  Each run is a process of its own: compile, then sample; the same seeds for all.
Rounds are interleaved and the best counts.  Before anything is compared the posterior means must agree.

JAX's gradient is called as nutpie's own JAX backend does it: a jitted function, through Python.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import page

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("adc", "jax", "pytensor")
MODELS = ("schools", "logistic")
DRAWS, TUNE, CHAINS = 1000, 500, 4
Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SIGMA = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def data(model: str) -> tuple[dict[str, Any], tuple[np.ndarray, ...]]:
    """(parameters, data)"""
    if model == "schools":
        return {"log_tau": 0.0, "mu": 0.0, "z": np.zeros(8)}, (Y, SIGMA)
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return {"intercept": 0.0, "w": np.zeros(X.shape[1])}, ((X - X.mean(0)) / X.std(0), y.astype(float))


def schools(p, y, sigma):
    tau = np.exp(p["log_tau"])
    r = (y - (p["mu"] + tau * p["z"])) / sigma
    prior = -0.5 * (p["mu"] / 5.0) ** 2 - np.log1p((tau / 5.0) ** 2) + p["log_tau"]
    return prior - 0.5 * np.sum(p["z"] * p["z"]) - 0.5 * np.sum(r * r)


def logistic(p, X, y):
    z = X @ p["w"] + p["intercept"]
    return -np.sum(np.logaddexp(0.0, z) - y * z) - 0.5 * np.sum((p["w"] / 2.5) ** 2) - 0.5 * (p["intercept"] / 5.0) ** 2


# ---------------------------------------------------------------- models of nutpie


def by_adc(model: str) -> tuple[Any, Any]:
    """(the model, a call of its gradient as the sampler calls it)"""
    import adc

    params, given = data(model)
    density = adc.log_density(globals()[model], params, *given)
    return density.nutpie(), _through_c(density.address, density.dim, density.state)


def _through_c(address: int, dim: int, state: int) -> Any:
    double = ctypes.POINTER(ctypes.c_double)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, double, double, double, ctypes.c_void_p)(address)
    buffers = [np.full(n, 0.1) for n in (dim, dim, 1)]
    pointers = [b.ctypes.data_as(double) for b in buffers]
    return lambda kept=buffers: call(dim, *pointers, state)


def by_jax(model: str) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree
    from nutpie.compiled_pyfunc import from_pyfunc

    jax.config.update("jax_enable_x64", True)
    params, given = data(model)
    flat, unravel = ravel_pytree(params)
    source = globals()[model]
    own = type(source)(source.__code__, {**globals(), "np": jnp}, source.__name__)
    call = jax.jit(jax.value_and_grad(lambda x: own(unravel(x), *given)))
    call(flat)[0].block_until_ready()

    def make_logp():
        def logp(x):
            value, gradient = call(x)
            return float(value), np.asarray(gradient)

        return logp

    def make_expand(*seeds):
        names = [(k, np.shape(v)) for k, v in sorted(params.items())]

        def expand(x):
            found, at = {}, 0
            for name, shape in names:
                n = int(np.prod(shape))
                found[name] = np.asarray(x[at : at + n], np.float64).reshape(shape)
                at += n
            return found

        return expand

    names = sorted(params)
    made = from_pyfunc(
        len(flat), make_logp, make_expand, [np.dtype("f8")] * len(names), [np.shape(params[k]) for k in names], names,
        make_initial_point_fn=lambda seed: np.random.default_rng(seed).uniform(-2.0, 2.0, len(flat)),
    )  # fmt: skip
    logp, x = make_logp(), np.full(len(flat), 0.1)
    return made, lambda: logp(x)


def by_pytensor(model: str) -> tuple[Any, Any]:
    import nutpie
    import pymc as pm
    import pytensor.tensor as pt

    params, given = data(model)
    with pm.Model() as made:
        if model == "schools":
            mu = pm.Normal("mu", 0.0, 5.0)
            tau = pm.HalfCauchy("tau", 5.0)
            z = pm.Normal("z", 0.0, 1.0, shape=8)
            pm.Normal("y", mu + tau * z, SIGMA, observed=Y)
            pm.Deterministic("log_tau", pt.log(tau))
        else:
            w = pm.Normal("w", 0.0, 2.5, shape=given[0].shape[1])
            intercept = pm.Normal("intercept", 0.0, 5.0)
            pm.Bernoulli("y", logit_p=given[0] @ w + intercept, observed=given[1])
    compiled = nutpie.compile_pymc_model(made, backend="numba")
    return compiled, _through_c(compiled.compiled_logp_func.address, compiled.n_dim, compiled.user_data.ctypes.data)


def alone(call: Any) -> float:
    """Seconds of one gradient, best of some."""
    call()
    start = time.perf_counter()
    call()
    inner = max(1, int(0.01 / (time.perf_counter() - start)))
    best = float("inf")
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(inner):
            call()
        best = min(best, (time.perf_counter() - start) / inner)
    return best


def one(peer: str, model: str, seed: int, cores: int) -> dict[str, Any]:
    """Compile and sample once."""
    import arviz
    import nutpie

    start = time.perf_counter()
    made, gradient = globals()[f"by_{peer}"](model)
    compiled = time.perf_counter() - start
    start = time.perf_counter()
    trace = nutpie.sample(made, draws=DRAWS, tune=TUNE, chains=CHAINS, cores=cores, seed=seed, progress_bar=False)
    seconds = time.perf_counter() - start
    names = sorted(data(model)[0])
    effective = min(float(v.min()) for v in arviz.ess(trace, var_names=names).data_vars.values())
    means = np.concatenate([np.ravel(trace.posterior[n].mean(("chain", "draw"))) for n in names])
    deviations = np.concatenate([np.ravel(trace.posterior[n].std(("chain", "draw"))) for n in names])
    return {
        "compile": compiled, "gradient": alone(gradient), "seconds": seconds, "effective": effective,
        "means": means.tolist(), "deviations": deviations.tolist(),
    }  # fmt: skip


# ---------------------------------------------------------------- all of them


def pythons(pymc: str | None) -> dict[str, str]:
    """The interpreter of each peer that can run."""
    found = {"adc": sys.executable}
    if importlib.util.find_spec("jax"):
        found["jax"] = sys.executable
    if pymc or importlib.util.find_spec("pymc"):
        found["pytensor"] = pymc or sys.executable
    return found


def rows(pymc: str | None, rounds: int, cores: int) -> list[tuple[str, ...]]:
    made = []
    for model in MODELS:
        runs: dict[str, list[dict[str, Any]]] = {}
        for seed in range(1, rounds + 1):
            for peer, python in pythons(pymc).items():
                words = [python, str(Path(__file__).resolve()), "--one", peer, model, str(seed), "--cores", str(cores)]
                # one thread each for JAX and BLAS: chains are the parallelism
                env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ADC_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
                done = subprocess.run(words, capture_output=True, text=True, env=env)
                if done.returncode:
                    raise SystemExit(f"{peer}, {model}:\n{done.stderr[-3000:]}")
                runs.setdefault(peer, []).append(json.loads(done.stdout.splitlines()[-1]))
        mine = runs["adc"][0]
        for peer, found in runs.items():
            apart = np.max(np.abs(np.subtract(found[0]["means"], mine["means"])) / mine["deviations"])
            if apart > 0.25:
                raise SystemExit(f"{peer} samples another posterior of {model}: a mean is {apart:.2f} deviations away")
        best = {peer: max(r["effective"] / r["seconds"] for r in found) for peer, found in runs.items()}
        for peer, found in runs.items():
            gradient = min(r["gradient"] for r in found)
            made.append((
                model if peer == "adc" else "", peer, f"{best[peer]:,.0f}", f"{best['adc'] / best[peer]:.1f}",
                f"{gradient * 1e6:.2f} µs", f"{min(r['compile'] for r in found):.1f} s",
            ))  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", nargs=3, metavar=("PEER", "MODEL", "SEED"))
    parser.add_argument("--pymc-python", help="an interpreter with pymc, nutpie and scikit-learn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.one:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer, model, seed = options.one
            print(json.dumps(one(peer, model, int(seed), options.cores)))
        return
    found = rows(options.pymc_python, options.rounds, options.cores)
    text = (
        f"## Posteriors\n\nnutpie, {CHAINS} chains on {options.cores} cores, {TUNE} + {DRAWS} draws each; the smallest effective sample of any parameter, per second of "
        "sampling (best of interleaved runs, same seeds), and one gradient alone, called as the sampler does.\n\n"
        "| posterior | gradient by | effective samples / s | adc's are | one gradient | compile |\n|---|---|---|---|---|---|\n"
        + "".join(f"| {' | '.join((*r[:3], r[3] + ' times', *r[4:]))} |\n" for r in found)
    )
    print(text)
    if options.write:
        page.write("posteriors", text)


if __name__ == "__main__":
    main()
