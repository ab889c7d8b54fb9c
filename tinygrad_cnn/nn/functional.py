"""The operations under the names of torch.nn.functional."""

from ..ops.conv import conv2d, fold, unfold
from ..ops.dropout import dropout, dropout2d
from ..ops.elementwise import leaky_relu, relu, sigmoid, tanh
from ..ops.inplace import in_place
from ..ops.loss import cross_entropy, l1_loss, mse_loss, nll_loss
from ..ops.matmul import linear
from ..ops.norm import batch_norm, local_response_norm
from ..ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from ..ops.reduce import log_softmax, softmax
from ..ops.shape import pad

relu_ = in_place(relu)
leaky_relu_ = in_place(leaky_relu)

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "dropout",
    "dropout2d",
    "fold",
    "l1_loss",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "local_response_norm",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "pad",
    "relu",
    "relu_",
    "sigmoid",
    "softmax",
    "tanh",
    "unfold",
]
