"""A kernel as a shared library: its pieces, compiled by this process and its helper, and put together.

In: a `Kernel`.  Out: an `Artifact`: the bytes of the library, and of one object for where there is no linker (`inprocess` loads that).
The main function is a piece, and so is each part of some length, and adc's own products where a kernel multiplies on a machine that
has none yet.  Whoever is free takes the longest; what the helper cannot do is done here.

>>> compile_kernel(kernel).library[:4]         # doctest: +SKIP
b'\x7fELF'
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from adc.backend import blas, cache, compile, helper
from adc.lower.kernel import Kernel

PATIENCE = 300.0
"""Seconds that the helper gets for one piece."""


@dataclass(frozen=True)
class Products:
    """The piece that belongs to no kernel: what multiplies matrices in all of them."""

    letters: str
    name: str = "products"
    length: int = 5000
    """It takes as long as a part with a text of this length."""


@dataclass(frozen=True)
class Artifact:
    kernel: Kernel
    strict: bool
    library: bytes | None
    """None where no linker was found."""

    @cached_property
    def object(self) -> bytes:
        """The kernel as one object, for where there is no library, or the system refuses to load it."""
        return compile.compile_object(self.kernel, self.strict)


def compile_kernel(kernel: Kernel, strict: bool = False) -> Artifact:
    """`strict`: floating-point operations exactly as written.

    What the pieces are follows from the text, not from who makes them: numbers do not depend on how many processes compile.
    """
    if not compile.linkers():
        return Artifact(kernel, strict, None)
    if not kernel.parts or compile.full(kernel):
        return Artifact(kernel, strict, compile.link(compile.compile_object(kernel, strict)))
    return Artifact(kernel, strict, compile.link(*Pieces(kernel, strict).made()))


class Pieces:
    """Which pieces there are, who works on them, and what was made."""

    def __init__(self, kernel: Kernel, strict: bool) -> None:
        self.kernel, self.text = kernel, compile.Text.of(kernel)
        self.how = compile.How.here(strict)
        self.own = self.text.own()
        self.longest = max((self.length(name) for name in self.text.parts if name not in self.own), default=0)
        self.condition = threading.Condition()
        self.known: dict[Any, None] = {}
        self.later: list[Any] = []
        self.waiting: list[Any] = [Products(missing)] if (missing := blas.missing(kernel.multiplies)) else []
        self.busy = 1  # with the first piece
        self.asking = True  # and that is not done
        self.objects: dict[Any, bytes] = {}
        self.failed = False

    def ask(self, unit: Any) -> None:
        with self.condition:
            if self.asking and unit.name in self.own:
                self.later.append(unit)  # the first piece most likely has it
            elif unit not in self.known:
                self.known[unit] = None
                self.waiting.append(unit)
                self.condition.notify_all()

    def length(self, name: str) -> int:
        return Products.length if name == Products.name else len(self.text.functions[name])

    def begun(self, own: list[Any]) -> None:
        """The first piece is done, with these in it."""
        with self.condition:
            self.busy, self.asking = self.busy - 1, False
            self.known.update(dict.fromkeys(own))
            self.condition.notify_all()
        for unit in self.later:
            self.ask(unit)

    def ready(self) -> bool:
        """Is there a piece to begin with? While others are still found, not a short one: the longest would be begun last."""
        return any(not self.asking or 2 * self.length(unit.name) >= self.longest for unit in self.waiting)

    def take(self) -> Any:
        """A piece that nobody has taken; None where there will be none."""
        start = time.monotonic()
        with self.condition:
            while not self.ready() and self.busy and not self.failed:
                self.condition.wait(1.0)
                if time.monotonic() - start > PATIENCE:
                    helper.stop()  # whoever waits for its answer learns that there is none
            if self.failed or not self.waiting:
                return None
            self.busy += 1
            unit = max(self.waiting, key=lambda unit: self.length(unit.name))
            self.waiting.remove(unit)
            return unit

    def give(self, unit: Any, data: bytes | None) -> None:
        """What became of a piece; None: somebody else shall make it."""
        with self.condition:
            if data is None:
                self.waiting.append(unit)
            else:
                self.objects[unit] = data
            self.busy -= 1
            self.condition.notify_all()

    def fail(self) -> None:
        with self.condition:
            self.failed = True
            self.condition.notify_all()

    def job(self, unit: Any) -> tuple[Callable[..., bytes], tuple[Any, ...]]:
        """What makes a piece, here or there."""
        return (helper.make_products, (str(cache.directory()), unit.letters)) if isinstance(unit, Products) else (make_unit, (self.text, unit, self.how))

    def assisted(self) -> None:
        """Let the helper make pieces while there are any."""
        while (unit := self.take()) is not None:
            data = helper.ask(*self.job(unit), self.ask)
            self.give(unit, data)
            if data is None:
                return

    def made(self) -> list[bytes]:
        """The objects, in one order whoever made them."""
        if helper.there():
            threading.Thread(target=self.assisted, daemon=True).start()
        try:
            main, mine = compile.main_object(self.kernel, self.text, self.how, self.ask, self.own)
            self.begun(mine)
            while (unit := self.take()) is not None:
                does, arguments = self.job(unit)
                self.give(unit, does(*arguments, self.ask))
        except BaseException:
            self.fail()
            raise
        units = [unit for unit in self.objects if not isinstance(unit, Products)]
        return [main, *(self.objects[unit] for unit in sorted(units, key=lambda u: str(u.symbol)))]


def make_unit(text: Any, unit: Any, how: Any, found: Callable[[Any], None]) -> bytes:
    return compile.unit_object(text, unit, how, found)


__all__ = ["Artifact", "compile_kernel"]
