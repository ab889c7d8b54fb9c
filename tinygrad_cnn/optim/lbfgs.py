"""L-BFGS: steps for losses without noise, such as those of style transfer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any, NamedTuple

from ..autograd import enable_grad, no_grad
from ..ops.shape import cat
from ..tensor import Tensor
from .optimizer import Optimizer, options


class Point(NamedTuple):
    """A place on a line: how far along it, loss and gradient there, and the slope of the loss along the line."""

    t: float
    loss: float
    grad: Tensor
    slope: float


class LBFGS(Optimizer):
    """p += t * d with d = -H g, where H, the inverse of the Hessian, is guessed from the last changes of p and g.

    `step` needs a closure that computes loss and gradients, and calls it up to max_eval times (default: 1.25 * max_iter).
    line_search_fn: None takes t = lr, 'strong_wolfe' searches t.  Liu and Nocedal, 1989.
    """

    states_like_parameters = False  # the state has all parameters as one vector

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, options(locals()))
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS: all parameters must be in one group")

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Take up to max_iter steps; return the loss before them."""
        group, (first, *_) = self.param_groups[0], self.param_groups[0]["params"]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {group['line_search_fn']!r}")
        state = self.state[first]
        if not state:
            state.update(func_evals=0, n_iter=0, d=None, t=0.0, old_dirs=[], old_stps=[], ro=[], H_diag=1)
        evaluate = enable_grad()(closure)
        start = evaluate()
        loss, g, evals = float(start), self._gradient(), 1
        state["func_evals"] += 1
        for i in range(group["max_iter"]):
            if g.abs().max() <= group["tolerance_grad"] or evals >= group["max_eval"]:
                break
            d = self._direction(state, g, group["history_size"])
            slope = float(g.dot(d))
            t = float(group["lr"]) * (min(1.0, 1.0 / float(g.abs().sum())) if state["n_iter"] == 1 else 1.0)
            state.update(d=d, t=t, prev_flat_grad=g, prev_loss=loss)
            if slope > -group["tolerance_change"]:
                break
            before, calls = loss, 0
            if group["line_search_fn"]:
                point, calls = self._search(evaluate, Point(0.0, loss, g, slope), t, d, group["max_eval"] - evals)
                t, loss, g = point.t, point.loss, point.grad
                self._move(d, t)
            else:
                self._move(d, t)
                if i + 1 < group["max_iter"]:
                    loss, g, calls = float(evaluate()), self._gradient(), 1
            state["t"] = t
            evals += calls
            state["func_evals"] += calls
            if float(d.abs().max()) * abs(t) <= group["tolerance_change"] or (
                calls and abs(loss - before) < group["tolerance_change"]
            ):
                break
        return start

    def _gradient(self) -> Tensor:
        """Return the gradients of all parameters as one vector."""
        params = self.param_groups[0]["params"]
        return cat([(p.new_zeros(p.shape) if p._grad is None else p._grad).reshape(-1) for p in params])

    def _move(self, d: Tensor, t: float) -> None:
        """Add t * d to the parameters."""
        start = 0
        for p in self.param_groups[0]["params"]:
            p.add_(d[start : start + p.numel()].view(p.shape), alpha=t)
            start += p.numel()

    def _direction(self, state: dict[str, Any], g: Tensor, history_size: int) -> Tensor:
        """Return -H g by the recursion over two loops, after a look at the last step."""
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            return -g
        dirs, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        ys = y.dot(s)
        if ys > 1e-10:
            for history, new in ((dirs, y), (steps, s), (ro, 1.0 / ys)):
                history.append(new)
                del history[:-history_size]
            state["H_diag"] = ys / y.dot(y)
        q, weights = -g, []
        for y, s, r in zip(reversed(dirs), reversed(steps), reversed(ro)):
            weights.append(s.dot(q) * r)
            q.sub_(y, alpha=float(weights[-1]))
        q.mul_(state["H_diag"])
        for y, s, r, weight in zip(dirs, steps, ro, reversed(weights)):
            q.add_(s, alpha=float(weight - y.dot(q) * r))
        return q

    def _search(
        self, evaluate: Callable[[], Any], start: Point, t: float, d: Tensor, limit: int, c1: float = 1e-4,
        c2: float = 0.9, tolerance: float = 1e-9,
    ) -> tuple[Point, int]:  # fmt: skip
        """Return a point along d that satisfies the strong Wolfe conditions, and the number of evaluations, about `limit`.

        The loss falls enough, and its slope becomes much flatter.  Nocedal and Wright, Numerical Optimization, 3.5.
        """
        calls = 0

        def look(t: float) -> Point:
            nonlocal calls
            calls += 1
            saved = [p.clone() for p in self.param_groups[0]["params"]]
            self._move(d, t)
            loss, g = float(evaluate()), self._gradient()
            for p, old in zip(self.param_groups[0]["params"], saved):
                p.copy_(old)
            return Point(t, loss, g, float(g.dot(d)))

        def too_high(point: Point) -> bool:
            return point.loss > start.loss + c1 * point.t * start.slope

        def flat(point: Point) -> bool:
            return abs(point.slope) <= -c2 * start.slope

        previous, point = start, look(t)
        for i in range(limit):  # longer steps, until the line goes up again
            if too_high(point) or (i > 1 and point.loss >= previous.loss) or (point.slope >= 0 and not flat(point)):
                break
            if flat(point):
                return point, calls
            farther = (point.t + 0.01 * (point.t - previous.t), point.t * 10)
            previous, point = point, look(_lowest(previous, point, *farther))
        else:
            return min(start, point, key=lambda p: p.loss), calls
        low, high = sorted((previous, point), key=lambda p: p.loss)
        stuck = False
        while calls <= limit:  # narrow the bracket
            left, right = sorted((low.t, high.t))
            if (right - left) * float(d.abs().max()) < tolerance:
                break
            t, margin = _lowest(low, high, left, right), 0.1 * (right - left)
            close = min(right - t, t - left) < margin
            if close and (stuck or not left < t < right):
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                close = False
            stuck = close
            point = look(t)
            if too_high(point) or point.loss >= low.loss:
                low, high = sorted((low, point), key=lambda p: p.loss)
            elif flat(point):
                return point, calls
            else:
                low, high = point, low if point.slope * (high.t - low.t) >= 0 else high
        return low, calls


def _lowest(a: Point, b: Point, left: float, right: float) -> float:
    """Return where between left and right the cubic through two points, with their slopes, is lowest."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return (left + right) / 2
    d2 = sqrt(square)
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, left), right)
