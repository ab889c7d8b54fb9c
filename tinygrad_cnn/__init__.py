"""tinygrad_cnn: convolutional networks on the CPU, with PyTorch's names and NumPy as the only dependency.

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim, datasets, models
"""

# fmt: off
from . import autograd, backends, cuda, datasets, dtypes, models, nn, optim, testing, transforms, utils
from .autograd import (
    enable_grad, inference_mode, is_anomaly_enabled, is_grad_enabled, is_inference_mode_enabled, no_grad,
    set_grad_enabled,
)  # fmt: skip
from .backends import device
from .config import (
    empty_cache, get_conv_algorithm, get_num_threads, memory_stats, set_conv_algorithm, set_num_threads, show_config,
    VERSION as __version__,
)
from .creation import (
    arange, as_tensor, empty, empty_like, eye, from_numpy, full, full_like, get_rng_state, linspace, ones,
    ones_like, rand, rand_like, randint, randint_like, randn, randn_like, randperm, set_rng_state, tensor, zeros,
    zeros_like,
)
from .dtypes import (
    boolean as bool, can_cast, dtype, finfo, float32, float32 as float, float64, float64 as double,
    get_default_dtype, iinfo, int16, int16 as short, int32, int32 as int, int64, int64 as long, int8, promote_types,
    set_default_dtype, uint8,
)
from .ops.conv import conv2d
from .ops.dropout import dropout
from .ops.elementwise import (
    abs, add, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, ceil, clamp, clamp as clip, cos, div,
    div as divide, div as true_divide, eq, exp, expm1, floor, floor_divide, ge, gt, isfinite, isinf, isnan, le, log, log1p,
    log2, logical_and, logical_not, logical_or, logical_xor, lt, maximum, minimum, mul, mul as multiply, ne, neg,
    pow, reciprocal, relu, remainder, round, rsqrt, sigmoid, sign, sin, sqrt, square, sub, sub as subtract, tanh,
    trunc, where,
)
from .ops.index import gather, index_select, masked_fill, nonzero, scatter_add
from .ops.matmul import bmm, matmul, mm
from .ops.reduce import (
    all, amax, amin, any, argmax, argmin, log_softmax, logsumexp, max, mean, min, prod, softmax, std, sum, var,
)
from .ops.shape import (
    broadcast_to, cat, cat as concat, cat as concatenate, chunk, clone, flatten, movedim, narrow, permute, reshape,
    select, split, squeeze, stack, t, transpose, unbind, unflatten, unsqueeze,
)
from .random import default_generator, Generator, initial_seed, manual_seed, seed
from .serialization import load, save
from .tensor import Size, Tensor

__all__ = [
    "Generator", "Size", "Tensor", "__version__", "abs", "add", "all", "amax", "amin", "any", "arange", "argmax",
    "argmin", "as_tensor", "autograd", "backends", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "bmm",
    "bool", "broadcast_to", "can_cast", "cat", "ceil", "chunk", "clamp", "clip", "clone", "concat", "concatenate",
    "conv2d", "cos", "cuda", "datasets", "default_generator", "device", "div", "divide", "double", "dropout", "dtype",
    "dtypes", "empty", "empty_cache", "empty_like", "enable_grad", "eq", "exp", "expm1", "eye", "finfo", "flatten",
    "float", "float32", "float64", "floor", "floor_divide", "from_numpy", "full", "full_like", "gather", "ge",
    "get_conv_algorithm", "get_default_dtype", "get_num_threads", "get_rng_state", "gt", "iinfo", "index_select",
    "inference_mode", "initial_seed", "int", "int16", "int32", "int64", "int8", "is_anomaly_enabled", "is_grad_enabled",
    "is_inference_mode_enabled", "isfinite", "isinf", "isnan", "le", "linspace", "load", "log", "log1p", "log2",
    "log_softmax", "logical_and", "logical_not", "logical_or", "logical_xor", "logsumexp", "long", "lt",
    "manual_seed", "masked_fill", "matmul", "max", "maximum", "mean", "memory_stats", "min", "minimum", "mm",
    "models", "movedim", "mul", "multiply", "narrow", "ne", "neg", "nn", "no_grad", "nonzero", "ones", "ones_like",
    "optim", "permute", "pow", "prod", "promote_types", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "randperm", "reciprocal", "relu", "remainder", "reshape", "round", "rsqrt", "save", "scatter_add",
    "seed", "select", "set_conv_algorithm", "set_default_dtype", "set_grad_enabled", "set_num_threads",
    "set_rng_state", "short", "show_config", "sigmoid", "sign", "sin", "softmax", "split", "sqrt", "square",
    "squeeze", "stack", "std", "sub", "subtract", "sum", "t", "tanh", "tensor", "testing", "transforms", "transpose",
    "true_divide", "trunc", "uint8", "unbind", "unflatten", "unsqueeze", "utils", "var", "where", "zeros",
    "zeros_like",
]
# fmt: on
