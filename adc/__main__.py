"""`python -m adc` is the command `adc`."""

from adc.cli import main

main()
