"""The solvers that are known, by their names in CVXPY; here, so that settings can be checked without loading any."""

from __future__ import annotations

from typing import Final

KNOWN: Final = {"HIGHS": ("HiGHS", "highspy"), "SCIP": ("SCIP", "pyscipopt")}
"""What each is called, and the package it comes with."""
