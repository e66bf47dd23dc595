"""A small portfolio accounting program, to try out how files are handed over, and every way in which that fails."""
