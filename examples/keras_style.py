"""The small network of Keras's users on MNIST, trained by one call (docs/data.md says where the digits come from)."""

import argparse

from devices import parse_args

import tinygrad_cnn as tg
from tinygrad_cnn import datasets, nn, transforms
from tinygrad_cnn.training import evaluate, fit

parser = argparse.ArgumentParser(description=__doc__)
args = parse_args(parser)
tg.manual_seed(0)
train, test = [datasets.MNIST(train=part, transform=transforms.ToTensor(), download=True) for part in (True, False)]
model = nn.Sequential(
    nn.Conv2d(1, 32, 4), nn.ReLU(), nn.MaxPool2d(3),  # 32 maps of 8 x 8
    nn.Conv2d(32, 64, 4), nn.ReLU(), nn.MaxPool2d(3),  # 64 of 1 x 1
    nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10),
).to(args.device)  # fmt: skip
fit(model, train, loss="cross_entropy", optimizer="adam", epochs=5, validation_split=0.1, metrics=["accuracy"])
print(f"test accuracy: {evaluate(model, test, metrics=['accuracy'])['accuracy']:.2%}")
