"""One file per technology behind the ports of the read side."""
