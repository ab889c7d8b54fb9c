"""Train the ResNet of 20 layers on CIFAR-10, with crops and flips, on a short schedule (docs/data.md: the images).

He, Zhang, Ren and Sun, 2015, train for 164 epochs and reach 91.25 %.  A training that was stopped goes on where it was.
"""

import argparse
from pathlib import Path

from devices import parse_args

import tinygrad_cnn as tg
from tinygrad_cnn import datasets, models, optim, transforms
from tinygrad_cnn.training import ModelCheckpoint, Trainer
from tinygrad_cnn.utils.data import DataLoader

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the pixels of each colour
RATE = 0.1  # the highest


def load(root):
    """Return the training and the test set; training images are cut out of padded ones, and flipped, at random."""
    to_tensor = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    return (
        datasets.CIFAR10(root, train=True, transform=transforms.Compose(augment + to_tensor), download=True),
        datasets.CIFAR10(root, train=False, transform=transforms.Compose(to_tensor), download=True),
    )


def main():
    """Train, test after each epoch and save the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with CIFAR-10 in any of its forms")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the weights")
    args = parse_args(parser)
    tg.manual_seed(args.seed)
    train_set, test_set = load(args.data)
    batches = DataLoader(train_set, args.batch, shuffle=True)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "resnet20-unfinished.safetensors"

    model = models.resnet20().to(args.device)
    optimizer = optim.SGD(model.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs=args.epochs, steps_per_epoch=len(batches))
    trainer = Trainer(
        model, "cross_entropy", optimizer, ["accuracy"], scheduler=schedule, scheduler_interval="step",
        callbacks=[ModelCheckpoint(checkpoint)],
    )  # fmt: skip
    if checkpoint.is_file():
        trainer.load(checkpoint)
    trainer.fit(batches, args.epochs, validation_data=DataLoader(test_set, 500))
    checkpoint.unlink()
    tg.save(model.state_dict(), args.out / "resnet20.safetensors")
    print(f"wrote resnet20.safetensors to {args.out.resolve()}")


if __name__ == "__main__":
    main()
