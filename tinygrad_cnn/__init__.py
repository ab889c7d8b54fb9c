"""tinygrad_cnn: convolutional networks on the CPU, with PyTorch's names and NumPy as the only dependency.

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim, datasets, models
"""

# fmt: off
from . import accelerator, amp, autograd, backends, compat, cuda, datasets, dtypes, linalg, models, nn, ops, optim
from . import testing, training, transforms, utils, version, viz
from .amp import autocast, GradScaler
from .autograd import (
    enable_grad, inference_mode, is_anomaly_enabled, is_grad_enabled, is_inference_mode_enabled, no_grad,
    set_grad_enabled,
)  # fmt: skip
from .backends import device
from .compat import *
from .config import (
    empty_cache, get_conv_algorithm, get_num_threads, memory_stats, set_conv_algorithm, set_num_threads, show_config,
)
from .creation import (
    arange, as_tensor, asarray, bernoulli, BoolTensor, ByteTensor, CharTensor, DoubleTensor, empty, empty_like, eye,
    FloatTensor, from_dlpack, from_numpy, frombuffer, full, full_like, get_rng_state, IntTensor, linspace, logspace,
    LongTensor, normal, ones, ones_like, rand, rand_like, randint, randint_like, randn, randn_like, randperm,
    scalar_tensor, set_rng_state, ShortTensor, tensor, tril_indices, triu_indices, zeros, zeros_like,
)
from .dtypes import (
    boolean as bool, can_cast, channels_last, channels_last_3d, contiguous_format, dtype, finfo, float32,
    float32 as float, float64, float64 as double, get_default_dtype, iinfo, int16, int16 as short, int32, int32 as int,
    int64, int64 as long, int8, layout, memory_format, preserve_format, promote_types, set_default_dtype, strided, uint8,
)
from .nn.functional import (
    adaptive_avg_pool1d, avg_pool1d, bilinear, celu, celu_, channel_shuffle, conv1d, conv3d, conv_transpose1d,
    conv_transpose2d, conv_transpose3d, cosine_similarity, group_norm, hardshrink, layer_norm, max_pool1d,
    max_pool2d, max_pool3d, pairwise_distance, pixel_shuffle, pixel_unshuffle, prelu, relu_, rms_norm, selu, selu_,
    threshold, threshold_,
)  # fmt: skip
from .ops.conv import conv2d
from .ops.dropout import dropout
from .ops.arrange import *
from .ops.elementwise import *
from .ops.index import *
from .ops.linalg import *
from .ops.math import *
from .ops.matmul import *
from .ops.order import *
from .ops.random import *
from .ops.reduce import *
from .ops.scatter import *
from .ops.shape import *
from .random import default_generator, Generator, initial_seed, manual_seed, seed
from .serialization import load, save
from .tensor import Size, Tensor
from .utils.summary import summary
from .version import __version__
from math import e, inf, nan, pi

newaxis = None
for _class in (Tensor, Size, dtype, device):
    _class.__module__ = __name__  # where users find them, and their text says they are
# Names that PyTorch's programs look for in autograd, which is made before tensors are.
autograd.Variable, autograd.gradcheck, autograd.gradgradcheck = compat.Variable, testing.gradcheck, testing.gradgradcheck

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "Generator", "GradScaler", "IntTensor",
    "LongTensor", "ShortTensor", "Size", "Tensor", "__version__", "accelerator", "amp", "arange", "as_tensor",
    "asarray", "autocast", "autograd", "backends", "bernoulli", "bool", "can_cast", "channels_last", "channels_last_3d",
    "compat", "contiguous_format", "conv2d", "cuda", "datasets", "default_generator", "device", "double", "dropout",
    "dtype", "dtypes", "e", "empty", "empty_cache", "empty_like", "enable_grad", "eye", "finfo", "float", "float32",
    "float64", "from_dlpack", "from_numpy", "frombuffer", "full", "full_like", "get_conv_algorithm",
    "get_default_dtype", "get_num_threads", "get_rng_state", "iinfo", "inf", "inference_mode", "initial_seed", "int",
    "int16", "int32", "int64", "int8", "is_anomaly_enabled", "is_grad_enabled", "is_inference_mode_enabled", "layout",
    "linalg", "linspace", "load", "logspace", "long", "manual_seed", "memory_format", "memory_stats", "models", "nan",
    "newaxis", "nn", "no_grad", "normal", "ones", "ones_like", "ops", "optim", "pi", "preserve_format", "promote_types",
    "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "save", "scalar_tensor", "seed",
    "set_conv_algorithm", "set_default_dtype", "set_grad_enabled", "set_num_threads", "set_rng_state", "short",
    "show_config", "strided", "summary", "tensor", "testing", "training", "transforms", "tril_indices", "triu_indices",
    "uint8", "utils", "version", "viz", "zeros", "zeros_like",
]
__all__ += [  # functions of layers that PyTorch has here, too
    "adaptive_avg_pool1d", "avg_pool1d", "bilinear", "celu", "celu_", "channel_shuffle", "conv1d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "group_norm", "hardshrink",
    "layer_norm", "max_pool1d", "max_pool2d", "max_pool3d", "pairwise_distance", "pixel_shuffle", "pixel_unshuffle",
    "prelu", "relu_", "rms_norm", "selu", "selu_", "threshold", "threshold_",
]
__all__ += (
    compat.__all__ + ops.arrange.__all__ + ops.elementwise.__all__ + ops.index.__all__ + ops.linalg.__all__
    + ops.math.__all__ + ops.matmul.__all__ + ops.order.__all__ + ops.random.__all__ + ops.reduce.__all__
    + ops.scatter.__all__ + ops.shape.__all__
)
# fmt: on
