"""The investment models of the demo: target weights with drifts, and the portfolios that follow them."""

from __future__ import annotations

from typing import NamedTuple


class Mix(NamedTuple):
    """A model; targets in percent, by ticker, and the same drift for all, below and above."""

    name: str
    targets: dict[str, str]
    drift: str
    portfolios: tuple[str, ...]


MIXES = (
    Mix(
        "Global Balanced",
        {"AGG": "24", "EEM": "6", "EFA": "13", "GLD": "4", "QQQ": "9", "SPY": "28", "TLT": "10"},
        "1.5",
        ("balanced-60-40", "young-savers-plan", "municipal-pension"),
    ),
    Mix(
        "Quality Growth",
        {
            "ASML": "8.5", "GOOGL": "9", "HD": "8", "JNJ": "7.5", "LLY": "7", "MA": "10", "MCD": "8.5", "MSFT": "10",
            "PG": "7", "V": "9", "WMT": "6.5",
        },
        "0.005",
        ("quality-compounders", "momentum"),
    ),
)  # fmt: skip
"""The second has narrow bands: those of the smaller portfolio are narrower than one share of some securities."""
