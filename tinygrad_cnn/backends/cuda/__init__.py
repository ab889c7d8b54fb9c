"""The switches of CUDA's matrix products that programs set; they change nothing."""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=True)


def is_built() -> bool:
    """Return False: this version has no CUDA backend."""
    return False
