"""Measured performance: every figure with a baseline taken in the same run, since machines differ and drift."""
