"""Routes that change something: one router per vertical."""
