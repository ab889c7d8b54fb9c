"""Check the gradient of an operation of one's own: `python examples/gradient_check.py`.

Softplus is written twice, once with a mistake in its backward; gradcheck compares both with finite differences.
"""

import argparse

from devices import parse_args

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import Function
from tinygrad_cnn.testing import GradcheckError, gradcheck, gradgradcheck


class Softplus(Function):
    """log(1 + e ** x), whose derivative is the sigmoid."""

    @staticmethod
    def forward(ctx, x):
        """Compute the value and keep what backward needs."""
        ctx.save_for_backward(x)
        return tg.log1p(tg.exp(x))

    @staticmethod
    def backward(ctx, dy):
        """Multiply the incoming gradient by the derivative."""
        (x,) = ctx.saved_tensors
        return dy * tg.sigmoid(x)


class WrongSoftplus(Softplus):
    """The same with a factor too much."""

    @staticmethod
    def backward(ctx, dy):
        """Get it wrong."""
        return 2 * Softplus.backward(ctx, dy)


def main() -> None:
    """Check both."""
    parser = argparse.ArgumentParser(description=__doc__)
    args = parse_args(parser)
    tg.manual_seed(0)
    x = tg.randn(3, 4, dtype=tg.float64, device=args.device, requires_grad=True)
    print("Softplus, first derivatives: ", gradcheck(Softplus.apply, x))
    print("Softplus, second derivatives:", gradgradcheck(Softplus.apply, x))
    try:
        gradcheck(WrongSoftplus.apply, x)
    except GradcheckError as error:
        print("WrongSoftplus:", error)


if __name__ == "__main__":
    main()
