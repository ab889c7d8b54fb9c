"""Training: fit, evaluate and predict, the Trainer behind them, and its callbacks."""

from .callbacks import CSVLogger, Callback, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TensorBoard
from .evaluation import AverageCrops, evaluate, predict
from .history import History
from .trainer import Trainer, fit

__all__ = [
    "AverageCrops", "CSVLogger", "Callback", "EarlyStopping", "History", "ModelCheckpoint", "ReduceLROnPlateau",
    "TensorBoard", "Trainer", "evaluate", "fit", "predict",
]  # fmt: skip
