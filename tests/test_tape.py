"""What the planner keeps of a loop: exponentials and their like where the tape stays in the cache.  Forward sweeps that meet though one keeps more."""

from __future__ import annotations

import numpy as np
import pytest

import adc
from adc.testing import check_grads

RNG = np.random.default_rng(11)


def paths(p, z):
    total = 0.0
    for k in range(z.shape[0]):
        x = p[0]
        for t in range(z.shape[1]):
            x = x + p[1] * np.exp(-p[2] * x * x) + 0.1 * z[k, t]
        total += x * x
    return total


def steps(p, z):
    x, total = p[0], 0.0
    for t in range(len(z)):
        x = x + p[1] * np.exp(-p[2] * x * x) + 0.1 * z[t]
        total += x
    return total


def together(p, z):
    x = np.full(z.shape[1], p[0])
    for t in range(z.shape[0]):
        x = x + p[1] * np.exp(-p[2] * x * x) + 0.1 * z[t]
    return np.sum(x * x)


def grid(p, u, n):
    for _ in range(n):
        new = u.copy()
        new[1:-1] = u[1:-1] + p[0] * (u[:-2] - 2.0 * u[1:-1] + u[2:]) + p[1] * np.exp(-p[2] * u[1:-1])
        u = new
    return np.sum(u * u)


def searched(p, z):
    total = 0.0
    for k in range(len(z)):
        x = z[k]
        while x * x > 0.5:
            x = x * (0.5 + 0.1 * np.exp(-p[2] * x * x)) + 0.01 * p[1]
        total += x + p[0] * x
    return total


def scaled(p, z):
    x = p[0]
    for t in range(len(z)):
        x = x + np.exp(p[1]) * x * x * z[t] * (1.0 / p[2])
    return x


P = np.array([0.3, 0.4, 0.7])
CASES = {
    "paths": (paths, (P, RNG.normal(size=(50, 6))), 1),
    "steps": (steps, (P, RNG.normal(size=9)), 1),
    "together": (together, (P, RNG.normal(size=(6, 40))), 1),
    "grid": (grid, (P, RNG.random(12), 3), 2),  # neighbours meet: the tape is as large as all states
    "searched": (searched, (P, 3.0 * RNG.random(20) + 0.2), 2),  # nobody knows how many turns there will be
    "scaled": (scaled, (P, 0.1 * RNG.normal(size=8)), 1),  # the same in all turns: before the loop
}


@pytest.mark.parametrize("name", CASES)
def test_exponentials_are_kept_where_the_tape_is_near(name):
    f, args, exponentials = CASES[name]
    g = adc.value_and_grad(f)
    source = g.kernel_source(*args)
    assert source.count("math.exp(") == exponentials, source
    check_grads(f, *args, argnums=0)
    value, slope = g(*args)
    want, other = adc.value_and_grad(f, target="numpy")(*args)
    assert value == pytest.approx(f(*args), rel=1e-12)
    assert want == pytest.approx(value, rel=1e-12)
    assert slope == pytest.approx(other, rel=1e-9)


def test_what_is_the_same_in_all_turns_is_not_on_the_tape():
    f, args, _ = CASES["scaled"]
    saved = [name for name in adc.value_and_grad(f).kernel_source(*args).partition("(")[2].partition(")")[0].split(", ") if "saved" in name]
    assert saved == ["x_saved"]


def test_under_a_limit_only_the_state_is_kept():
    f, args, _ = CASES["steps"]
    z = RNG.normal(size=4000)
    g = adc.value_and_grad(f, tape_limit=20_000)
    assert "math.exp(" in g.kernel_source(args[0], z)
    assert g(args[0], z)[1] == pytest.approx(adc.value_and_grad(f)(args[0], z)[1], rel=1e-12)


# ---------------------------------------------------------------- twins


def early(p, z):
    """The second loop names a part, and the part is the same."""
    total = 0.0
    for k in range(z.shape[0]):
        kept = np.zeros(z.shape[1])
        x = p[0]
        for t in range(z.shape[1]):
            x = x + p[1] * np.tanh(p[2] * x) + z[k, t]
        total += x
        y = p[0]
        for t in range(z.shape[1]):
            part = np.tanh(p[2] * y)
            kept[t] = part
            y = y + p[1] * part + z[k, t]
        total += 2.0 * y + np.sum(kept)
    return total


def before(p, z):
    """It names what the part was before the state changed."""
    total = 0.0
    for k in range(z.shape[0]):
        kept = np.zeros(z.shape[1])
        x, u = p[0], 0.0
        for t in range(z.shape[1]):
            x = x + p[1] * z[k, t]
            u = np.tanh(p[2] * x)
        total += x + u
        y, v = p[0], 0.0
        for t in range(z.shape[1]):
            part = np.tanh(p[2] * y)
            kept[t] = part
            y = y + p[1] * z[k, t]
            v = part
        total += 2.0 * y + 3.0 * v + np.sum(kept)
    return total


def last_turns(p, z):
    """The part is that of the turn before."""
    total = 0.0
    for k in range(z.shape[0]):
        kept = np.zeros(z.shape[1])
        x = p[0]
        for t in range(z.shape[1]):
            x = x + p[1] * np.tanh(p[2] * x)
        total += x
        y, part = p[0], 0.0
        for t in range(z.shape[1]):
            y = y + p[1] * part
            part = np.tanh(p[2] * y)
            kept[t] = part
        total += 2.0 * y + np.sum(kept)
    return total


def inner_turns(p, z):
    """An inner loop changes what the part was made of."""
    total = 0.0
    for k in range(z.shape[0]):
        kept = np.zeros(z.shape[1])
        x = p[0]
        for t in range(z.shape[1]):
            for _ in range(2):
                x = x + p[1] * np.tanh(p[2] * x)
        total += x
        y = p[0]
        for t in range(z.shape[1]):
            part = np.tanh(p[2] * y)
            kept[t] = part
            for _ in range(2):
                y = y + p[1] * part
        total += 2.0 * y + np.sum(kept)
    return total


def in_a_branch(p, z):
    """What is named in a branch is not known behind it."""
    total = 0.0
    for k in range(z.shape[0]):
        kept = np.zeros(z.shape[1])
        x = p[0]
        for t in range(z.shape[1]):
            w = 0.0
            if z[k, t] > 0.0:
                x = x + z[k, t]
            x = x + p[1] * np.tanh(p[2] * x) + w
        total += x
        y, part = p[0], 0.1
        for t in range(z.shape[1]):
            w = 0.0
            if z[k, t] > 0.0:
                part = np.tanh(p[2] * y)
                kept[t] = part
                y = y + z[k, t]
            y = y + p[1] * part + w
        total += 2.0 * y + np.sum(kept)
    return total


def other_start(p, z):
    """Loops that are alike, from numbers that are not."""
    total = 0.0
    for k in range(z.shape[0]):
        a, b = p[0] * z[k, 0], p[1] * z[k, 1]
        x = a
        for t in range(z.shape[1]):
            x = x + 0.1 * np.sin(x) * z[k, t]
        y = b
        for t in range(z.shape[1]):
            y = y + 0.1 * np.sin(y) * z[k, t]
        total += x * x + 3.0 * y + a * b
    return total


def start_in_a_branch(p, z):
    total = 0.0
    for k in range(z.shape[0]):
        a = b = 0.0
        if z[k, 0] > 0.0:
            a, b = p[0], p[1]
        x = a
        for t in range(z.shape[1]):
            x = x + 0.1 * np.sin(x) * z[k, t]
        y = b
        for t in range(z.shape[1]):
            y = y + 0.1 * np.sin(y) * z[k, t]
        total += x * x + 3.0 * y
    return total


def one_after_the_other(p, z):
    """The second goes on where the first ended."""
    total = 0.0
    for k in range(z.shape[0]):
        y = p[0]
        for t in range(z.shape[1]):
            if z[k, t] > p[0]:
                y = 0.5 * y + 0.3 * np.tanh(p[1] * z[k, t])
            for _ in range(2):
                for _ in range(len(z)):
                    y += 0.1 * p[0]
        total += y * y
    return total


def crossed(p, z):
    """Two variables whose starts change places."""
    total = 0.0
    for k in range(z.shape[0]):
        x, y = p[0], p[1]
        for t in range(z.shape[1]):
            x = x + 0.1 * y * z[k, t]
            y = y + 0.2 * x
        u, v = y, x
        for t in range(z.shape[1]):
            u = u + 0.1 * v * z[k, t]
            v = v + 0.2 * u
        total += x + 2.0 * y + 3.0 * u * v
    return total


def other_factors(p, z):
    """Alike but for a number inside of what both give a name."""
    total = 0.0
    for k in range(z.shape[0]):
        x, q = p[0], p[1]
        for t in range(z.shape[1]):
            x = x + 0.2 * q * z[k, t]
            q = q * 0.9 + np.tanh(x)
        total += np.tanh(x + q)
        y, r = p[0], p[1]
        for t in range(z.shape[1]):
            y = y + 0.1 * r * z[k, t]
            r = r * 0.9 + np.tanh(y)
        total += 2.0 * np.tanh(y + r)
    return total


def asked_for(p, z):
    """A loop between two that are alike needs what the first of them ends with, and meets the second."""
    n = len(z)
    a = b = c = d = 0.0
    for t in range(n):
        a += np.exp(p[0] * z[t, 0]) + p[1]
    for t in range(n):
        b += np.exp(p[2] * z[t, 0] * a) + p[0]
    for t in range(n):
        c += np.exp(p[0] * z[t, 0]) + p[1]
    for t in range(n):
        d += np.exp(p[0] * z[t, 0]) + p[0]
    return a + 2.0 * b + 3.0 * c + 4.0 * d


def looked_at(p, z):
    """What both sides of a branch add to is looked at before the outer branch ends."""
    total = 0.0
    for k in range(z.shape[0]):
        x, y = p[0], p[1]
        for t in range(z.shape[1]):
            if z[k, t] > 0.1:
                if p[1] > 0.2:
                    x += 0.1 * p[1]
                else:
                    y += 0.1 / (1.0 + x * x)
                if x > y:
                    x = np.tanh(y * y)
        total += x * x + y * y
    return np.log(1.0 + total * total)


@pytest.mark.parametrize("f", [looked_at, asked_for, other_factors, early, before, last_turns, inner_turns, in_a_branch, other_start, start_in_a_branch, one_after_the_other, crossed])
def test_loops_that_are_alike_up_to_a_name(f):
    args = P, 0.3 * RNG.normal(size=(5, 4))
    assert adc.jit(f)(*args) == pytest.approx(f(*args), rel=1e-13)
    check_grads(f, *args, argnums=(0, 1))
