"""The version, and the GPU toolkits of this build: none."""

__version__ = "0.1.0"

cuda = hip = xpu = git_version = None
debug = False

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]
