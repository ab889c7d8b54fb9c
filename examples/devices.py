"""The option --device, which all programs here have."""

import argparse

import tinygrad_cnn as tg


def usable(name):
    """Return the name of a device; argparse.ArgumentTypeError says why it cannot be used."""
    try:
        tg.zeros(1, device=name)
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(error) from error
    return name


def parse_args(parser):
    """Return the arguments of a program, --device among them."""
    parser.add_argument("--device", type=usable, default="cpu", help="cpu, or cuda for an NVIDIA GPU")
    return parser.parse_args()
