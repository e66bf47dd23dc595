"""The optimiser of rebalances: exact in integers, a solver only where cash binds, and every answer checked."""
