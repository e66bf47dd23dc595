"""A trading desk to try the application with: it fills the orders of a rebalance and reports what it did."""
