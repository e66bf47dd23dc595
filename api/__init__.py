"""How the world gets in: HTTP routes, settings, errors on the wire; imports every other layer."""
