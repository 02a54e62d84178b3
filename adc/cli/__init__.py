"""The command `adc`: show, check, doctor, demo, cache.

In: the command line.  Out: what the library knows, on a terminal in colours, in a pipe as plain text or `--json`.

    adc show kernels.logistic:loss --sig "f8[d], f8[n, d], f8[n]"
"""

from __future__ import annotations


def main() -> None:
    """Entry of the `adc` command."""
    from adc.cli.commands import adc

    adc()


__all__ = ["main"]
