"""Optimisers and learning-rate schedules, under the names of torch.optim."""

from . import lr_scheduler, swa_utils
from .adam import Adam, AdamW
from .formulas import ASGD, Adadelta, Adagrad, Adamax, NAdam, RAdam, RMSprop, Rprop
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .sdlm import SDLM
from .sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SDLM",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
