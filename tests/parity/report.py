"""Which of PyTorch's public names exist here: `python -m tests.parity.report` writes docs/parity.md."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import torch

import tinygrad_cnn as tg

PATH = Path(__file__).parents[2] / "docs" / "parity.md"
PLACES = {
    "torch": (torch, tg),
    "torch.Tensor": (torch.Tensor, tg.Tensor),
    "torch.nn": (torch.nn, tg.nn),
    "torch.nn.functional": (torch.nn.functional, tg.nn.functional),
    "torch.optim": (torch.optim, tg.optim),
    "torch.utils.data": (torch.utils.data, tg.utils.data),
}
# Names with more than PyTorch's meaning, or another in the respects that differences.md lists.
EXTENDED = {
    "AvgPool2d", "Conv2d", "DataLoader", "Generator", "MaxPool2d", "Unfold", "all", "amax", "amin", "any", "argmax", "argmin",
    "avg_pool2d", "clone", "conv2d", "device", "load", "max_pool2d", "mean", "prod", "save", "std", "sum", "unfold", "var",
}  # fmt: skip
REASONS = {  # a pattern of names: why they are absent; the first that fits counts
    r".*_$": "functions that work in place: use the methods of these names",
    r".*(complex|Complex|conj).*|c(double|float|half)|chalf|real|imag|view_as_real.*|angle|polar|resolve_neg|is_neg|H": "complex numbers",
    r"b?float(16|8|4).*|b?[Hh]alf.*|BFloat16.*|bfloat16|uint(16|32|64|[1-7])|int[1-7]|bits?\d?.*": "16-bit floats and other element types",
    r".*([qQ]uant|[qQ]int|QUInt).*|q_.*|int_repr|per_(channel|tensor).*|choose_qparams.*|fbgemm.*|fused_moving.*|ao": "quantisation",
    r".*(sparse|Sparse|coalesce|crow_|ccol_).*|[hs]*spmm|hsmm|dsmm|smm|sspaddmm|(row|col)_indices.*|indices.*|values.*|to_dense|dense_dim|saddmm|to_mkldnn": "sparse tensors",
    r".*(cudnn|miopen|mkldnn|vulkan|mtia|xpu|ipu|maia|_mps|xla|hip).*|mps|windows": "other devices and vendors' libraries",
    r".*(autocast).*": "mixed precision: autocast and GradScaler exist, switched off",
    r".*([sS]cript|JIT|jit|[cC]ompil|[eE]xport|Type$|Graph|Symbol|[tT]rac(ing|e)State|parse_|import_ir|Alias|Argument|Module(Dict|Serializer)|Capsule).*|sym_.*|Sym.*|fx|func|functional|vmap|cond|while_loop|fork|wait|Future|futures|Await.*|library|_?dynamo|Code|Block|Node|Use|Value|ExecutionPlan|Gradient|Function(Schema)?|hub|package|overrides|classes|ops": "compilation, tracing and function transforms",
    r".*([lL][sS][tT][mM]|G[rR][uU]|gru|R[nN][nN]|rnn|[tT]ransformer|[aA]ttention|[eE]mbedding|[cC][tT][cC]).*": "recurrent and attention layers, and text",
    r".*(conv|Conv|[pP]ool|[nN]orm|[pP]ad|[dD]ropout|[uU]nfold|[sS]huffle|[lL]ayer).*(1|3)d.*|.*_(1d|3d)|.*(1d|3d)|conv_tbc|.*Lazy.*|.*Sync.*": "one- and three-dimensional layers, lazy and distributed ones",
    r"svd.*|qr|eig.*|lu.*|lstsq|.*cholesky.*|.*inverse|p?inverse|.*det|solve|symeig|lobpcg|geqrf|or[gm]qr|matrix_(exp|power|rank)|triangular_solve|pca_lowrank|det|nuclear_norm|frobenius_norm|renorm|norm_except_dim|logdet|slogdet|cov|corrcoef|vander|gradient|trapz|trapezoid|cumulative_trapezoid": "decompositions, solvers and statistics",
    r"fft|.*stft|.*_window|signal": "Fourier transforms and signals",
    r".*gamma.*|i0|erfinv|sinc|frexp|gcd|lcm|nextafter|logaddexp2|special|isin|index_reduce|segment_reduce|histogram.*|unravel_index|bilinear|Bilinear|poisson|binomial|cauchy_|geometric_|angle": "special functions and rare operations",
    r".*_copy|.*_scatter|slice_inverse|unsafe_.*|narrow_copy|as_strided.*|empty_(strided|permuted)|new_empty_strided|.*stor(age|ages).*|.*Storage.*|set_|resize.*|data_ptr|const_data_ptr|.*_func.*|nonzero_static": "memory as an object of its own, and copies of views",
    r".*[dD]istribut.*|multiprocessing|.*named.*|names|rename.*|refine_names|align_.*|share.*|.*multiprocess.*": "distributed training, processes and named axes",
    r"profiler.*|.*profile.*|.*[bB]enchmark.*|.*debug.*|.*anomaly.*|.*Log.*|.*warn.*|monitor|testing|utils|.*Stats": "profiling and debugging",
    r"[A-Z].*Tensor|.*nested.*|.*jagged.*|masked": "other kinds of tensors",
    r"[a-z_]*(native|batch_norm|layer_norm|group_norm|instance_norm|rms_norm|grid_sampl|affine_grid|_loss|_like_|constant_pad|hardshrink|prelu|celu|selu|rrelu|threshold|alpha_dropout|feature_dropout|pixel_|channel_shuffle|pairwise|cosine|dropout|pdist).*": "functions that programs find in nn.functional",
    r"TYPE_CHECKING|overload.*|Any|Callable|Optional|Union|Tensor|TypeVar|Final|cast|torch": "what PyTorch's files import for themselves",
}
OTHER = "not needed by convolutional networks, or internal"


def names(place: object) -> list[str]:
    """Return the public names of a module or class."""
    listed = dir(place) if place in (torch, torch.Tensor) else getattr(place, "__all__", dir(place))
    return sorted({name for name in listed if not name.startswith("_") and not hidden(place, name)})


def hidden(place: object, name: str) -> bool:
    """Return whether a name of PyTorch is a module that was imported by the way."""
    return isinstance(getattr(place, name, None), ModuleType) and not hasattr(tg, name)


def reason(name: str, method: bool = False) -> str:
    """Return why a name is absent; a method that works in place, for the reason of the other one."""
    name = name.rstrip("_") if method else name
    return next((why for pattern, why in REASONS.items() if re.fullmatch(pattern, name)), OTHER)


def wrapped(words: list[str]) -> str:
    """Return names as code."""
    return ", ".join(f"`{word}`" for word in words)


def section(title: str, theirs: object, ours: object) -> str:
    """Return what is there and what is not of one place."""
    public = names(theirs)
    there = [name for name in public if hasattr(ours, name)]
    absent: dict[str, list[str]] = {}
    for name in public:
        if name not in there:
            absent.setdefault(reason(name, theirs is torch.Tensor), []).append(name)
    order = [*dict.fromkeys(REASONS.values()), OTHER]
    lines = [f"## {title}", "", f"**{len(there)} of {len(public)} names.**  Same as in PyTorch:", ""]
    lines += [wrapped([name for name in there if name not in EXTENDED]) + ".", ""]
    extended = [name for name in there if name in EXTENDED]
    lines += (
        ["Extended or different, see [differences.md](differences.md): " + wrapped(extended) + ".", ""]
        if extended
        else []
    )
    if absent:
        lines += ["| absent because | names |", "|---|---|"]
        lines += [f"| {why} | {wrapped(absent[why])} |" for why in order if why in absent] + [""]
    return "\n".join(lines)


def report() -> str:
    """Return the text of docs/parity.md."""
    head = [
        "# PyTorch's names",
        "",
        f"Generated by `python -m tests.parity.report` from PyTorch {torch.__version__.partition('+')[0]}; do not edit.",
        "",
    ]
    return "\n".join(head + [section(title, *both) for title, both in PLACES.items()])


if __name__ == "__main__":
    PATH.write_text(report())
