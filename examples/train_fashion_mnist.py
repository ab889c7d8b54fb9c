"""Train one of three networks on Fashion-MNIST: LeNet-5, a small AlexNet or a small ResNet-18 (docs/data.md: the images)."""

import argparse
from pathlib import Path

from devices import parse_args

import tinygrad_cnn as tg
from tinygrad_cnn import datasets, models, optim, transforms
from tinygrad_cnn.training import Trainer
from tinygrad_cnn.utils.data import DataLoader

MEAN, STD = 0.2860, 0.3530  # of the pixels
# Epochs, the highest learning rate, images in a batch.
RECIPES = {"lenet5": (12, 0.05, 64), "alexnet_small": (10, 0.03, 128), "resnet18_small": (8, 0.1, 128)}


def load(root):
    """Return the training and the test set; the training images are flipped at random."""
    to_tensor = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
    augmented = transforms.Compose([transforms.RandomHorizontalFlip(), *to_tensor])
    return (
        datasets.FashionMNIST(root, train=True, transform=augmented, download=True),
        datasets.FashionMNIST(root, train=False, transform=transforms.Compose(to_tensor), download=True),
    )


def main():
    """Train, test after each epoch and save the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=RECIPES, default="lenet5")
    parser.add_argument("--data", help="folder of the files: /usr/share/datasets/fashion-mnist of Debian's package")
    parser.add_argument("--epochs", type=int, help="instead of as many as the network needs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the weights")
    args = parse_args(parser)
    tg.manual_seed(args.seed)
    epochs, rate, batch = RECIPES[args.network]
    epochs = args.epochs or epochs
    train_set, test_set = load(args.data)
    batches = DataLoader(train_set, batch, shuffle=True)

    model = models.get_model(args.network).to(args.device)
    optimizer = optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs=epochs, steps_per_epoch=len(batches))
    trainer = Trainer(model, "cross_entropy", optimizer, ["accuracy"], scheduler=schedule, scheduler_interval="step")
    trainer.fit(batches, epochs, validation_data=DataLoader(test_set, 500))

    args.out.mkdir(parents=True, exist_ok=True)
    tg.save(model.state_dict(), args.out / f"{args.network}.safetensors")
    print(f"wrote {args.network}.safetensors to {args.out.resolve()}")


if __name__ == "__main__":
    main()
