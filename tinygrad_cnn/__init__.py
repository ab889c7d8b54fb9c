"""tinygrad_cnn: convolutional networks on the CPU, with PyTorch's names and NumPy as the only dependency.

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim, datasets, models
"""

from . import autograd, backends, datasets, dtypes, models, nn, optim, testing, transforms, utils
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .backends import device
from .config import VERSION as __version__
from .config import get_num_threads, set_num_threads, show_config
from .creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    get_rng_state,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    set_rng_state,
    tensor,
    zeros,
    zeros_like,
)
from .dtypes import (
    can_cast,
    dtype,
    finfo,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    set_default_dtype,
    uint8,
)
from .dtypes import boolean as bool
from .dtypes import float32 as float
from .dtypes import float64 as double
from .dtypes import int16 as short
from .dtypes import int32 as int
from .dtypes import int64 as long
from .ops.conv import conv2d
from .ops.dropout import dropout
from .ops.elementwise import (
    abs,
    add,
    ceil,
    clamp,
    cos,
    div,
    eq,
    exp,
    expm1,
    floor,
    floor_divide,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    log,
    log1p,
    log2,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    sub,
    tanh,
    trunc,
    where,
)
from .ops.elementwise import clamp as clip
from .ops.elementwise import div as divide
from .ops.elementwise import div as true_divide
from .ops.elementwise import mul as multiply
from .ops.elementwise import sub as subtract
from .ops.index import gather, index_select, masked_fill, nonzero, scatter_add
from .ops.matmul import bmm, matmul, mm
from .ops.reduce import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)
from .ops.shape import (
    broadcast_to,
    cat,
    chunk,
    clone,
    flatten,
    movedim,
    narrow,
    permute,
    reshape,
    select,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
)
from .ops.shape import cat as concat
from .ops.shape import cat as concatenate
from .random import Generator, default_generator, initial_seed, manual_seed, seed
from .serialization import load, save
from .tensor import Size, Tensor

__all__ = [name for name in dir() if not name.startswith("_")]  # noqa: PLE0605
