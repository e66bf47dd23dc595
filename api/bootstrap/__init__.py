"""Composition: which adapter stands behind each port. The only package that names adapters; nothing runs at import.

Each module is what one kind of process needs, and is imported by itself: a relay loads no web framework.
"""
