"""Touch Home Assistant on the engine's behalf; nothing else beside the platform files does."""
