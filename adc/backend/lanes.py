"""Formulas over lanes: Python operators that write LLVM's text, for one number or a vector of them.

In: a number of lanes, and whether the processor multiplies and adds in one rounding.  Out: the body of a function.

    m = Lanes(lanes=4, fused=True)
    (x,) = m.arguments("double")
    m.function("line", x * 2.0 + 1.0, "internal", "")      # define internal <4 x double> @"line"(<4 x double> %x0) …

Nothing here carries fast-math flags, so compensated sums stay as they are written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Union

Number = Union[int, float]

INLINE = "available_externally"
"""How a function is defined that leaves no trace once its calls are inlined."""
PURE = "nounwind willreturn nofree nosync nocallback memory(none)"


@dataclass(frozen=True)
class Format:
    """A binary floating-point format."""

    scalar: str
    suffix: str
    word: str
    digits: int
    """stored bits of the significand"""
    bias: int

    @property
    def width(self) -> int:
        return int(self.word[1:])

    @property
    def sign(self) -> int:
        """The bit of the sign."""
        return 1 << (self.width - 1)

    @property
    def magic(self) -> float:
        """Adding it rounds to an integer, which then stands in the lowest bits (in two's complement)."""
        return 1.5 * 2.0**self.digits

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def splitter(self) -> float:
        """Dekker's constant: it cuts a number into two halves."""
        return 2.0 ** ((self.digits + 2) // 2) + 1.0

    def pattern(self, x: float) -> int:
        """The bits of a number."""
        return int.from_bytes(struct.pack(">d" if self.width == 64 else ">f", x), "big")


F64 = Format("double", "f64", "i64", 52, 1023)
F32 = Format("float", "f32", "i32", 23, 127)
FORMATS = {f.scalar: f for f in (F64, F32)}


class Value:
    """One intermediate result, in all lanes."""

    __slots__ = ("m", "name", "scalar")

    def __init__(self, m: Lanes, scalar: str, name: str):
        self.m, self.scalar, self.name = m, scalar, name

    @property
    def is_float(self) -> bool:
        return self.scalar in FORMATS

    @property
    def format(self) -> Format:
        return FORMATS[self.scalar]

    def _two(self, op: str, other: Any, swap: bool = False) -> Value:
        a, b = self.m.operand(self, self.scalar), self.m.operand(other, self.scalar)
        a, b = (b, a) if swap else (a, b)
        return self.m.emit(self.scalar, f"{op} {self.m.type(self.scalar)} {a}, {b}")

    def _compare(self, condition: str, other: Any) -> Value:
        kind = "fcmp o" if self.is_float else "icmp "
        other = self.m.operand(other, self.scalar)
        return self.m.emit("i1", f"{kind}{condition} {self.m.type(self.scalar)} {self.name}, {other}")

    def __add__(self, other: Any) -> Value:
        return self._two("fadd" if self.is_float else "add", other)

    def __sub__(self, other: Any) -> Value:
        return self._two("fsub" if self.is_float else "sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self._two("fsub" if self.is_float else "sub", other, swap=True)

    def __mul__(self, other: Any) -> Value:
        return self._two("fmul" if self.is_float else "mul", other)

    def __truediv__(self, other: Any) -> Value:
        return self._two("fdiv", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._two("fdiv", other, swap=True)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Value:
        if self.is_float:
            return self.m.emit(self.scalar, f"fneg {self.m.type(self.scalar)} {self.name}")
        return 0 - self

    def __and__(self, other: Any) -> Value:
        return self._two("and", other)

    def __or__(self, other: Any) -> Value:
        return self._two("or", other)

    def __xor__(self, other: Any) -> Value:
        return self._two("xor", other)

    def __lshift__(self, other: Any) -> Value:
        return self._two("shl", other)

    def __rshift__(self, other: Any) -> Value:
        return self._two("lshr", other)

    def __invert__(self) -> Value:
        return self ^ (1 if self.scalar == "i1" else -1)

    def __lt__(self, other: Any) -> Value:
        return self._compare("lt" if self.is_float else "slt", other)

    def __le__(self, other: Any) -> Value:
        return self._compare("le" if self.is_float else "sle", other)

    def __gt__(self, other: Any) -> Value:
        return self._compare("gt" if self.is_float else "sgt", other)

    def __ge__(self, other: Any) -> Value:
        return self._compare("ge" if self.is_float else "sge", other)

    def equals(self, other: Any) -> Value:
        """Equality (`==` is Python's own).  NaN equals nothing."""
        return self._compare("eq", other)

    def is_nan(self) -> Value:
        return self.m.emit("i1", f"fcmp uno {self.m.type(self.scalar)} {self.name}, {self.name}")

    def bits(self) -> Value:
        return self._cast("bitcast", self.format.word)

    def as_float(self) -> Value:
        """The floating-point number with these bits."""
        return self._cast("bitcast", "double" if self.scalar == "i64" else "float")

    def cast(self, op: str, scalar: str) -> Value:
        """A conversion by its name in LLVM: fpext, fptrunc, zext, trunc, uitofp."""
        return self._cast(op, scalar)

    def _cast(self, op: str, scalar: str) -> Value:
        return self.m.emit(scalar, f"{op} {self.m.type(self.scalar)} {self.name} to {self.m.type(scalar)}")


@dataclass
class Lanes:
    """Writes the body of one function."""

    lanes: int
    fused: bool
    """Has the processor an instruction for a * b + c?"""
    lines: list[str] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    needed: set[tuple[str, int]] = field(default_factory=set)
    """Functions of our own that this one calls, with their lanes."""
    params: list[Value] = field(default_factory=list)
    count: int = 0

    # ------------------------------------------------------------ text

    def type(self, scalar: str) -> str:
        return scalar if self.lanes == 1 else f"<{self.lanes} x {scalar}>"

    def emit(self, scalar: str, text: str) -> Value:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {text}")
        return Value(self, scalar, f"%v{self.count}")

    def operand(self, x: Value | Number, scalar: str) -> str:
        """A name, or a constant in all lanes."""
        if isinstance(x, Value):
            if x.scalar != scalar:
                raise TypeError(f"{x.scalar} where {scalar} is wanted")
            return x.name
        one = constant(x, scalar)
        return one if self.lanes == 1 else "<" + ", ".join([f"{scalar} {one}"] * self.lanes) + ">"

    def call(self, result: str, name: str, *args: Value, scalar: bool = False) -> Value:
        """A call of an intrinsic of LLVM or, by its full name, of a function that is declared elsewhere."""
        types = [a.scalar if scalar else self.type(a.scalar) for a in args]
        made = result if scalar else self.type(result)
        if name.startswith("llvm."):
            self.declared.add(f'declare {made} @"{name}"({", ".join(types)})')
        given = ", ".join(f"{t} {a.name}" for t, a in zip(types, args, strict=True))
        return self.emit(result, f'call {made} @"{name}"({given})')

    def intrinsic(self, name: str, *args: Value) -> Value:
        scalar = args[0].scalar
        suffix = FORMATS[scalar].suffix if scalar in FORMATS else scalar
        return self.call(scalar, f"llvm.{name}.{'' if self.lanes == 1 else f'v{self.lanes}'}{suffix}", *args)

    def arguments(self, *scalars: str) -> tuple[Value, ...]:
        self.params = [Value(self, s, f"%x{k}") for k, s in enumerate(scalars)]
        return tuple(self.params)

    def function(self, name: str, result: Value, linkage: str, attributes: str) -> str:
        """The definition of the function that returns `result`."""
        params = ", ".join(f"{self.type(p.scalar)} {p.name}" for p in self.params)
        made = self.type(result.scalar)
        head = f'define {linkage} {made} @"{name}"({params}) {attributes} {PURE} {{\nentry:'
        return "\n".join([head, *self.lines, f"  ret {made} {result.name}", "}"])

    # ------------------------------------------------------------ arithmetic

    def value(self, x: Number, like: Value) -> Value:
        """A constant as a value, where a name is needed."""
        return Value(self, like.scalar, self.operand(x, like.scalar))

    def select(self, condition: Value, a: Value | Number, b: Value | Number) -> Value:
        scalar = next(v.scalar for v in (a, b) if isinstance(v, Value))
        t, c = self.type(scalar), self.type("i1")
        return self.emit(scalar, f"select {c} {condition.name}, {t} {self.operand(a, scalar)}, {t} {self.operand(b, scalar)}")

    def abs(self, x: Value) -> Value:
        return self.intrinsic("fabs", x)

    def copysign(self, size: Value, sign: Value) -> Value:
        return self.intrinsic("copysign", size, sign)

    def at_least(self, x: Value, low: float) -> Value:
        """max(x, low); NaN stays."""
        return self.select(x < low, low, x)

    def at_most(self, x: Value, high: float) -> Value:
        """min(x, high); NaN stays."""
        return self.select(x > high, high, x)

    def mad(self, a: Value | Number, b: Value | Number, c: Value | Number) -> Value:
        """a * b + c, with one rounding or two."""
        like = next(v for v in (a, b, c) if isinstance(v, Value))
        a, b, c = (v if isinstance(v, Value) else self.value(v, like) for v in (a, b, c))
        return self.intrinsic("fma", a, b, c) if self.fused else a * b + c

    def product_error(self, a: Value, b: Value | Number, p: Value) -> Value:
        """a * b - p, exactly, for the rounded product p (Dekker's way where products are not fused)."""
        b = b if isinstance(b, Value) else self.value(b, a)
        if self.fused:
            return self.intrinsic("fma", a, b, -p)
        (ah, al), (bh, bl) = self.halves(a), self.halves(b)
        return ((ah * bh - p) + ah * bl + al * bh) + al * bl

    def halves(self, a: Value) -> tuple[Value, Value]:
        c = a * a.format.splitter
        high = c - (c - a)
        return high, a - high

    def minus_product(self, x: Value, a: Value, b: float) -> Value:
        """x - a * b with one rounding, where x and a * b are close to each other."""
        if self.fused:
            return self.intrinsic("fma", -a, self.value(b, a), x)
        p = a * b
        return (x - p) - self.product_error(a, b, p)

    def fast_two_sum(self, a: Value | Number, b: Value) -> tuple[Value, Value]:
        """a + b as a rounded sum and its error, where a is 0 or not smaller than b."""
        total = b + a
        return total, (a - total) + b

    def polynomial(self, x: Value, coefficients: tuple[float, ...]) -> Value:
        """c0 + c1 x + c2 x² + …: even and odd powers side by side, so that two chains run at once."""
        if len(coefficients) < 6:
            return self.horner(x, coefficients)
        z = x * x
        return self.mad(self.horner(z, coefficients[1::2]), x, self.horner(z, coefficients[::2]))

    def horner(self, x: Value, coefficients: tuple[float, ...]) -> Value:
        total: Value | float = coefficients[-1]
        for c in coefficients[-2::-1]:
            total = self.mad(total, x, c)
        assert isinstance(total, Value)
        return total

    # ------------------------------------------------------------ rare lanes

    def where_rare(self, condition: Value, result: Value, function: str, *args: Value) -> Value:
        """`result`, but in lanes where `condition` holds what `function` makes of the arguments.

        The call is jumped over where no lane asks for it; with n lanes it is one of `function.n`, not inlined.
        """
        name = function if self.lanes == 1 else f"{function}.{self.lanes}"
        self.needed.add((function, self.lanes))
        any_lane = condition.name
        if self.lanes > 1:
            mask = self.emit("mask", f"bitcast {self.type('i1')} {condition.name} to i{self.lanes}")
            any_lane = self.emit("any", f"icmp ne i{self.lanes} {mask.name}, 0").name
        self.count += 1
        here, rare, done = (f"{label}{self.count}" for label in ("here", "rare", "done"))
        self.lines += [f"  br label %{here}", f"{here}:", f"  br i1 {any_lane}, label %{rare}, label %{done}, !prof !0", f"{rare}:"]
        chosen = self.select(condition, self.call(result.scalar, name, *args), result)
        self.lines += [f"  br label %{done}", f"{done}:"]
        return self.emit(result.scalar, f"phi {self.type(result.scalar)} [ {result.name}, %{here} ], [ {chosen.name}, %{rare} ]")

    def lane_by_lane(self, function: str, scalar: str, *args: Value) -> Value:
        """A function of single numbers in each lane."""
        whole = Value(self, scalar, "poison")
        for k in range(self.lanes):
            ones = [self.emit(a.scalar, f"extractelement {self.type(a.scalar)} {a.name}, i32 {k}") for a in args]
            one = self.call(scalar, function, *ones, scalar=True)
            whole = self.emit(scalar, f"insertelement {self.type(scalar)} {whole.name}, {scalar} {one.name}, i32 {k}")
        return whole


def constant(x: Number, scalar: str) -> str:
    """A constant as LLVM writes it: floats by their bits, so that none is rounded twice."""
    if scalar in FORMATS:
        if scalar == "float":
            x = struct.unpack("f", struct.pack("f", x))[0]
        return f"0x{F64.pattern(float(x)):016X}"
    if scalar == "i1":
        return "true" if x else "false"
    return str(int(x))


__all__ = ["F32", "F64", "FORMATS", "INLINE", "PURE", "Format", "Lanes", "Value"]
