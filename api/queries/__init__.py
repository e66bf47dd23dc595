"""Routes that only read: one router per vertical; nothing here reaches the write side."""
