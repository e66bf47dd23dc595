"""The commands on accounting batches (seed 001): send, retry, cancel."""
