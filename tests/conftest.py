"""Options and what every test shares: one cache of compiled kernels for the session, apart from the user's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("adc", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("adc")

# kernels compiled by one run are reused by the next: they are keyed by everything they depend on
# (a folder per user: what lies there is executed)
_user = os.getuid() if hasattr(os, "getuid") else "tests"
os.environ.setdefault("ADC_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"adc-tests-{_user}"))
os.environ.setdefault("MPLBACKEND", "Agg")
# the suite has a process for each core already; tests/test_pieces.py is about two
os.environ.setdefault("ADC_COMPILE_PROCESSES", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden adjoints anew")
