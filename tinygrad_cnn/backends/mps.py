"""Whether Apple's GPUs can be used: no."""


def is_available() -> bool:
    """Return False."""
    return False


is_built = is_available
