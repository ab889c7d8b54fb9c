"""Whether kernels come from oneDNN: no."""


def is_available() -> bool:
    """Return False."""
    return False
