"""The one error of the embedded servers."""


class EmbeddedError(Exception):
    """The embedded servers cannot be had; the message is one sentence for people that names the remedy."""
