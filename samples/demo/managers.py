"""The invented managers of the demo: twenty portfolios, and how each is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mandate:
    """How a portfolio is run. Days are days of trading, counted from 0; ``targets`` are weights in percent of the total
    value by ticker, negative for what is to be short."""

    name: str
    cash: str
    """What it opens with."""
    targets: dict[str, str]
    start: int = 0
    """The first day on which it trades."""
    tranches: int = 3
    """It is built up in so many steps, two days apart."""
    every: int = 5
    """Days between two rebalancings."""
    restless: int = 5
    """How often in a hundred times a holding is given up at a rebalancing, or taken up again."""
    fee: str = "0.60"
    """Fee a year, percent of the total value."""
    places: int = 0
    """Decimal places of the quantities it trades."""
    flows: tuple[tuple[int, str, str], ...] = ()
    """Cash in and out from outside: day, DEP or WD, amount."""
    transfers: tuple[tuple[int, str, str, str, str], ...] = ()
    """Shares in and out without cash: day, IN or OUT, ticker, quantity, and for IN the cost of a share."""
    overdraft: str = "0"
    """So much more than its cash is taken out on the last day but one, where it is not 0."""
    status: str = "ACTIVE"
    until: int = 99
    """The last day on which it is ACTIVE; it gets its ``status`` on the day after."""

    @property
    def id(self) -> str:
        """Its name in lower case, with hyphens."""
        return "-".join(self.name.lower().replace("/", " ").split())


def _weights(text: str) -> dict[str, str]:
    """Return the weights of ``AAPL 8 MSFT 9.5``."""
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _every(first: int, step: int, kind: str, amount: str) -> tuple[tuple[int, str, str], ...]:
    return tuple((day, kind, amount) for day in range(first, 64, step))


MANDATES = (
    Mandate(
        name="Global Growth",
        cash="12000000",
        targets=_weights(
            "AAPL 8 MSFT 9 NVDA 8 AMZN 8 GOOGL 7 META 6 AVGO 5 LLY 6 MA 6 V 5 COST 5 ASML 6 TSM 7 EEM 6 SPY 4"
        ),
        restless=3,
        flows=((21, "DEP", "1500000"),),
    ),
    Mandate(
        name="US Large Cap Core",
        cash="18500000",
        targets=_weights(
            "AAPL 7 MSFT 7 AMZN 6 GOOGL 5 META 4 JPM 5 JNJ 5 PG 5 XOM 5 HD 4 UNH 4 KO 3 V 4 CAT 4 GE 4 WMT 5 DIS 3 "
            "MRK 3 CVX 3 SPY 8 NEE 3"
        ),
        start=1,
        tranches=4,
        restless=2,
        fee="0.45",
    ),
    Mandate(
        name="Technology Leaders",
        cash="8250000",
        targets=_weights("AAPL 10 MSFT 11 NVDA 13 AVGO 9 GOOGL 9 META 8 ASML 8 TSM 9 ADBE 6 AMZN 8 QQQ 6"),
        start=2,
        every=4,
        restless=5,
        fee="0.85",
        flows=((33, "WD", "400000"),),
    ),
    Mandate(
        name="Dividend Income",
        cash="9600000",
        targets=_weights("KO 8 PG 8 JNJ 9 MRK 7 PFE 6 T 6 XOM 7 CVX 7 MCD 6 AMT 5 NEE 6 JPM 6 AGG 9 HD 5"),
        start=3,
        every=8,
        flows=_every(16, 20, "WD", "60000"),
    ),
    Mandate(
        name="Balanced 60/40",
        cash="14000000",
        targets=_weights("SPY 28 QQQ 10 EFA 12 EEM 6 AGG 24 TLT 12 GLD 4"),
        start=0,
        tranches=5,
        restless=0,
        fee="0.30",
        flows=((12, "DEP", "750000"), (44, "DEP", "500000")),
    ),
    Mandate(
        name="Healthcare Select",
        cash="4800000",
        targets=_weights("LLY 20 UNH 17 JNJ 19 MRK 15 PFE 11 ADBE 4 COST 5 WMT 5"),
        start=6,
        every=6,
        fee="0.75",
    ),
    Mandate(
        name="Energy and Utilities",
        cash="3750000",
        targets=_weights("XOM 26 CVX 24 NEE 19 T 9 CAT 8 GE 8"),
        start=8,
        every=6,
    ),
    Mandate(
        name="Quality Compounders",
        cash="11200000",
        targets=_weights("V 10 MA 10 COST 9 MSFT 10 PG 7 MCD 8 HD 8 LLY 7 ASML 7 JNJ 7 GOOGL 8 WMT 6"),
        start=4,
        tranches=4,
        every=10,
        restless=3,
        fee="0.90",
        flows=((38, "DEP", "900000"),),
    ),
    Mandate(
        name="Deep Value",
        cash="5400000",
        targets=_weights("PFE 12 T 11 BA 10 DIS 10 UNH 11 CVX 10 MRK 11 JPM 9 XOM 8"),
        start=10,
        every=7,
        restless=9,
    ),
    Mandate(
        name="International Equity",
        cash="7300000",
        targets=_weights("EFA 30 EEM 22 ASML 14 TSM 16 GLD 6 MCD 4 KO 4"),
        start=5,
        every=5,
        restless=2,
        flows=((50, "WD", "350000"),),
    ),
    Mandate(
        name="Equity Long/Short",
        cash="10000000",
        targets=_weights(
            "MSFT 12 NVDA 11 AMZN 10 V 9 LLY 9 GE 9 COST 9 GOOGL 10 JPM 8 DIS -7 BA -8 T -6 PFE -7 ADBE -6 CVX -6"
        ),
        start=2,
        every=3,
        restless=8,
        fee="1.50",
    ),
    Mandate(
        name="Market Neutral",
        cash="6500000",
        targets=_weights("AAPL 9 META 9 MA 9 JNJ 9 XOM 9 CAT 9 SPY -18 QQQ -15 UNH -7 HD -8 NEE -6"),
        start=7,
        every=4,
        restless=6,
        fee="1.25",
    ),
    Mandate(
        name="Hartwell Family",
        cash="2500000",
        targets=_weights("AAPL 12 KO 8 SPY 20 AGG 16 GLD 9 TLT 8 MSFT 9 JPM 7 PG 6"),
        start=9,
        every=10,
        restless=3,
        transfers=(
            (6, "IN", "AAPL", "4200", "96.40"),
            (6, "IN", "KO", "15500", "41.15"),
            (19, "IN", "GLD", "1200", "182.70"),
            (47, "OUT", "AAPL", "600", ""),
        ),
        flows=((30, "DEP", "1250000"),),
    ),
    Mandate(
        name="Riverside Endowment",
        cash="16000000",
        targets=_weights("SPY 22 EFA 13 EEM 6 AGG 21 TLT 10 GLD 5 MSFT 5 JNJ 5 PG 5 AMT 4"),
        start=0,
        tranches=5,
        restless=0,
        fee="0.35",
        flows=((23, "WD", "250000"), (43, "WD", "250000")),
        overdraft="84000",
    ),
    Mandate(
        name="Municipal Pension",
        cash="19000000",
        targets=_weights("AGG 30 TLT 14 SPY 20 EFA 9 JPM 4 KO 4 JNJ 4 PG 4 WMT 4 NEE 3"),
        start=3,
        tranches=6,
        every=9,
        restless=0,
        fee="0.25",
        flows=(*_every(20, 21, "WD", "185000"), (32, "DEP", "640000")),
    ),
    Mandate(
        name="Young Savers Plan",
        cash="500000",
        targets=_weights("SPY 45 EFA 20 EEM 10 AGG 18 GLD 4"),
        start=1,
        tranches=2,
        every=4,
        restless=0,
        fee="0.20",
        places=4,
        flows=_every(10, 10, "DEP", "48250.50"),
    ),
    Mandate(
        name="Momentum",
        cash="2400000",
        targets=_weights("NVDA 13 AVGO 11 META 10 GE 10 LLY 10 COST 9 WMT 9 TSM 11 GLD 9 DIS 7"),
        start=1,
        every=2,
        restless=14,
        fee="1.00",
    ),
    Mandate(
        name="Emerging Opportunities",
        cash="3100000",
        targets=_weights("EEM 48 TSM 22 ASML 10 NVDA 7 GLD 8"),
        start=4,
        every=6,
        status="SUSPENDED",
        until=41,
        flows=((52, "DEP", "120000"),),
    ),
    Mandate(
        name="Legacy Fund II",
        cash="5200000",
        targets=_weights("XOM 10 CVX 9 T 9 PFE 9 KO 9 PG 9 BA 8 CAT 9 JPM 9 DIS 8 UNH 7"),
        start=0,
        every=10,
        restless=0,
        status="LIQUIDATING",
        until=45,
    ),
    Mandate(
        name="Pilot Strategy",
        cash="750000",
        targets=_weights("QQQ 40 NVDA 15 MSFT 15 AMZN 14 GOOGL 12"),
        start=2,
        tranches=2,
        every=3,
        restless=8,
        status="CLOSED",
        until=38,
    ),
)
