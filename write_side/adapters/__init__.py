"""One file per technology behind the ports of the write side."""
