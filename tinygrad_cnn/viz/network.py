"""A picture of a network as SVG: boxes for layers, lines for what flows between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from html import escape
from itertools import pairwise
from typing import Any

from ..nn import Module
from ..utils.summary import LayerSummary, Summary, summary

SIZE, LETTER, LINE = 11, 7.0, 15  # of the letters, their width (all have the same), of a line: in pixels
GAP, MARGIN = 26, 16
STYLE = f"""<style>
text {{ font: {SIZE}px monospace; text-anchor: middle; fill: #1a1a1a }}
.name {{ font-weight: bold }}
rect {{ fill: #f1f1f1; stroke: #8a8a8a }}
.trained {{ fill: #d6e6f5; stroke: #4a7fb0 }}
path {{ fill: none; stroke: #8a8a8a; stroke-width: 1.3 }}
circle {{ fill: #8a8a8a }}
</style>"""


@dataclass
class _Node:
    """A layer, the input, or (without lines of text) a point where several layers' outputs meet.

    A rank is a row of the picture.  The root is the node that every way from the input leads through last.
    """

    lines: list[str]
    parents: list[int]
    trained: bool = False
    rank: int = 0
    root: int = 0


def network_svg(model: Module, input_size: Any) -> str:
    """Return a picture of a network as the text of an SVG file, from the top to the bottom.

    Each call of a layer that `summary(model, input_size)` lists is a box with its name, kind, kernel, output shape (without
    batch axis) and number of parameters; blue ones have parameters.  Branches stand side by side, and meet again in a point,
    whether they are added, concatenated or what else.  Layers that the pass does not use are left out.
    """
    table = summary(model, input_size)
    nodes = _graph(table, _input_text(input_size))
    box = LETTER * max(len(line) for node in nodes for line in node.lines) + 14, LINE * 3 + 8
    columns = _columns(nodes, box[0])
    tops, end = [], float(MARGIN)
    for rank in range(max(node.rank for node in nodes) + 1):
        tops.append(end)
        end += GAP + (box[1] if any(node.lines for node in nodes if node.rank == rank) else 0)
    left = min(x for x in columns.values()) - box[0] / 2 - MARGIN
    right = max(x for x in columns.values()) + box[0] / 2 + MARGIN
    note = f"{table.parameters:,} parameters, {table.multiply_adds:,} multiply-adds; blue: with parameters"
    spare = max(0.0, LETTER * len(note) + 2 * MARGIN - (right - left)) / 2
    left, right = left - spare, right + spare
    bottoms = [top - GAP for top in [*tops[1:], end]]
    shapes = [*_wires(nodes, columns, tops, bottoms), *_boxes(nodes, columns, tops, box)]
    area = f"{left:.1f} 0 {right - left:.1f} {end + MARGIN:.1f}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right - left:.0f}" height="{end + MARGIN:.0f}" viewBox="{area}">',
        STYLE,
        f'<rect x="{left:.1f}" y="0" width="100%" height="100%" style="fill: white; stroke: none"/>',
        *shapes,
        f'<text x="{(left + right) / 2:.1f}" y="{end:.1f}">{note}</text>',
        "</svg>\n",
    ])  # fmt: skip


def _input_text(input_size: Any) -> list[str]:
    sizes = input_size if isinstance(input_size[0], (tuple, list)) else [input_size]
    return ["input", ", ".join(_times(size[1:]) for size in sizes)]


def _times(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, sizes)) or "1"


def _text(row: LayerSummary) -> list[str]:
    """Return what stands in the box of a layer."""
    kernel = f" {_times(row.kernel_size)}" if row.kernel_size else ""
    shape = _times((row.output_shape or ())[1:])
    return [
        row.name or row.kind,
        row.kind + kernel,
        shape + (f", {row.parameters:,} parameters" if row.parameters else ""),
    ]


def _graph(table: Summary, text: list[str]) -> list[_Node]:
    """Return the input, the layers and the points where outputs meet; parents stand before their children."""
    nodes = [_Node(text, [])]
    of_row = {-1: 0}
    points: dict[tuple[int, ...], int] = {}

    def add(lines: list[str], parents: list[int], trained: bool = False) -> int:
        rank = 1 + max(nodes[parent].rank for parent in parents)
        nodes.append(_Node(lines, parents, trained, rank, reduce(common, parents)))
        return len(nodes) - 1

    def common(a: int, b: int) -> int:  # the last node on all ways to both (Cooper, Harvey and Kennedy, 2001)
        while a != b:
            a, b = min(a, b), nodes[max(a, b)].root
        return a

    for i, row in enumerate(table.layers):
        if row.output_shape is not None:
            parents = [of_row[j] for j in row.inputs] or [0]
            if len(parents) > 1:
                if tuple(parents) not in points:
                    points[tuple(parents)] = add([], parents)
                parents = [points[tuple(parents)]]
            of_row[i] = add(_text(row), parents, row.parameters > 0)
    return nodes


def _columns(nodes: list[_Node], width: float) -> dict[tuple[int, int], float]:
    """Return the middle of each node, by (node, its rank), and of its wire, by (node, a rank that it passes).

    A node stands under its root if there is room, so where branches meet again the picture goes on where they parted.
    """
    last = [node.rank for node in nodes]
    for node in nodes:
        for parent in node.parents:
            last[parent] = max(last[parent], node.rank)
    columns: dict[tuple[int, int], float] = {(0, 0): 0.0}
    for rank in range(1, max(last) + 1):
        wanted: list[tuple[float, bool, int]] = []  # the place, whether it is a wire, the node
        for i, node in enumerate(nodes):
            if node.rank == rank:
                wanted.append((columns[node.root, nodes[node.root].rank], False, i))
            elif node.rank < rank < last[i]:
                wanted.append((columns[i, rank - 1], True, i))
        places: list[float] = []
        half = -float("inf")
        for place, wire, i in sorted(wanted):
            own = width / 2 if nodes[i].lines and not wire else 0.0
            places.append(max(place, places[-1] + half + own + GAP) if places else place)
            half = own
        moves = [place - found for (place, wire, _), found in zip(sorted(wanted), places) if not wire]
        move = sum(moves) / len(moves)
        columns |= {(i, rank): found + move for (_, _, i), found in zip(sorted(wanted), places)}
    return columns


def _wires(
    nodes: list[_Node], columns: dict[tuple[int, int], float], tops: list[float], bottoms: list[float]
) -> list[str]:
    """Return the lines: from rank to rank through the gaps, and past the boxes of the ranks between."""
    steps = set()
    for i, node in enumerate(nodes):
        for parent in node.parents:
            path = [(parent, rank) for rank in range(nodes[parent].rank, node.rank)] + [(i, node.rank)]
            steps |= set(pairwise(path))
    lines = []
    for start, end in sorted(steps):
        x, y, below = columns[start], bottoms[start[1]], tops[end[1]]
        middle, to = (y + below) / 2, columns[end]
        past = f" V{bottoms[end[1]]:.1f}" if start[0] == end[0] else ""
        lines.append(
            f'<path d="M{x:.1f} {y:.1f} C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {below:.1f}{past}"/>'
        )
    return lines


def _boxes(
    nodes: list[_Node], columns: dict[tuple[int, int], float], tops: list[float], box: tuple[float, int]
) -> list[str]:
    """Return the boxes with their text, and the points."""
    shapes = []
    for i, node in enumerate(nodes):
        x, y = columns[i, node.rank], tops[node.rank]
        if not node.lines:
            shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
            continue
        kind = "input" if i == 0 else "layer trained" if node.trained else "layer"
        place = f'x="{x - box[0] / 2:.1f}" y="{y:.1f}" width="{box[0]:.1f}" height="{box[1]}"'
        shapes.append(f'<rect class="{kind}" {place} rx="4"/>')
        first = y + box[1] / 2 - LINE * len(node.lines) / 2 + SIZE
        for j, line in enumerate(node.lines):
            name = ' class="name"' if j == 0 else ""
            shapes.append(f'<text{name} x="{x:.1f}" y="{first + LINE * j:.1f}">{escape(line)}</text>')
    return shapes
