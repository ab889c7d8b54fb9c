"""The version, and the GPU toolkits of this build: none."""

from . import config

__version__ = config.VERSION

cuda = hip = xpu = git_version = None
debug = False

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]
