"""The commands on executions (seed 001): record, look up again, send again, book."""
