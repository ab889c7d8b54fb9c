"""Train LeNet-5 on MNIST for a short time and draw what it has learned: `python examples/see.py` (docs/viz.md)."""

import argparse
from pathlib import Path

from devices import parse_args
from train_mnist import load

import tinygrad_cnn as tg
from tinygrad_cnn import models, optim, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader


def measure(model, images, labels):
    """Return the loss and the accuracy, in percent."""
    with tg.no_grad():
        scores = model(images)
    return F.cross_entropy(scores, labels).item(), 100 * (scores.argmax(1) == labels).float().mean().item()


def train(model, train_set, images, labels, epochs, device):
    """Train, and return the losses and accuracies after each epoch."""
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    batches = DataLoader(train_set, 64, shuffle=True)
    some = [t.to(device) for t in next(iter(DataLoader(train_set, 10000)))]
    images, labels = images.to(device), labels.to(device)
    history = {name: [] for name in ("loss", "val_loss", "accuracy", "val_accuracy")}
    for epoch in range(1, epochs + 1):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(device)), y.to(device)).backward()
            optimizer.step()
        for prefix, data in (("", some), ("val_", (images, labels))):
            loss, accuracy = measure(model, *data)
            history[f"{prefix}loss"].append(loss)
            history[f"{prefix}accuracy"].append(accuracy)
        print(f"epoch {epoch}: {accuracy:.2f} % of the test digits are right")
    return history


def main():
    """Train, and write the pictures to a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder with the MNIST files")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    args = parse_args(parser)
    args.out.mkdir(parents=True, exist_ok=True)
    tg.manual_seed(0)
    train_set, test_set = load(args.data)
    images, labels = next(iter(DataLoader(test_set, len(test_set))))

    model = models.lenet5()
    (args.out / "network.svg").write_text(viz.network_svg(model, (1, 1, 28, 28)))
    before = viz.filters(model)
    history = train(model.to(args.device), train_set, images, labels, args.epochs, args.device)
    model.cpu()

    with tg.no_grad():
        scores = model(images)
    mistakes = viz.worst_mistakes(scores, labels)
    image, digit = images[0], int(labels[0])
    activations = [found for unit in range(4) for found in viz.top_activations(model, "features.4", unit, images)]
    figures = {
        "filters": viz.draw_filters(viz.filters(model), before),
        "feature_maps": viz.draw_feature_maps(viz.feature_maps(model, image)),
        "top_activations": viz.draw_top_activations(activations),  # a row for each of the first 4 units
        "saliency": viz.draw_saliency(image, viz.saliency(model, image, digit)),
        "grad_cam": viz.draw_grad_cam(image, viz.grad_cam(model, image, digit, "features.4")),
        "confusion": viz.draw_confusion_matrix(
            viz.confusion_matrix(labels, scores.argmax(1), 10),
            mistakes=mistakes,
            images=images[[m.index for m in mistakes]],
        ),
        "learning_curves": viz.draw_learning_curves(viz.learning_curves(history)),
    }
    for name, figure in figures.items():
        figure.savefig(args.out / f"{name}.png", dpi=80)
    print(f"wrote network.svg, {', '.join(f'{name}.png' for name in figures)} to {args.out.resolve()}")


if __name__ == "__main__":
    main()
