"""Pictures of networks: well-formed, a box for each layer, no overlaps, lines that connect what feeds what."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, viz

SVG = "{http://www.w3.org/2000/svg}"


class Paths(nn.Module):
    """Three branches of different lengths that meet, around them a shortcut, and a layer that is not used."""

    def __init__(self):
        super().__init__()
        self.first, self.short, self.act = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True)
        self.long = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 1))
        self.last, self.never = nn.Conv2d(8, 2, 1), nn.Linear(2, 2)

    def forward(self, x):
        x = self.first(x)
        return self.act(self.last(tg.cat([self.short(x), self.long(x), x], 1)) + x)


NETWORKS = {
    "lenet": (models.lenet5(), (1, 1, 28, 28)),
    "paths": (Paths(), (2, 1, 6, 6)),
    "residual": (models.resnet20(), (1, 3, 32, 32)),
    "inception": (models.googlenet(aux_logits=False, init_weights=False), (1, 3, 64, 64)),
    "dense": (models.DenseNet(8, (3, 2), 16), (1, 3, 64, 64)),
    "sequences": (models.ecg_net(num_classes=3), (1, 1, 260)),
    "one layer": (nn.ReLU(), (1, 3)),
}


def drawn(model, size):
    root = ET.fromstring(viz.network_svg(model, size))
    rects = [r for r in root.iter(f"{SVG}rect") if "class" in r.attrib]
    boxes = [tuple(float(r.get(name)) for name in ("x", "y", "width", "height")) for r in rects]
    return root, rects, boxes


@pytest.mark.parametrize(("model", "size"), NETWORKS.values(), ids=NETWORKS)
def test_boxes(model, size):
    root, rects, boxes = drawn(model, size)
    rows = [row for row in tg.summary(model, size).layers if row.output_shape is not None]
    assert [r.get("class") for r in rects] == ["input"] + [
        "layer trained" if row.parameters else "layer" for row in rows
    ]
    for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(boxes, 2):
        assert x + w < x2 or x2 + w2 < x or y + h < y2 or y2 + h2 < y
    left, top, width, height = map(float, root.get("viewBox").split())
    for x, y, w, h in boxes:
        assert left < x
        assert x + w < left + width
        assert top < y
        assert y + h < top + height


@pytest.mark.parametrize(("model", "size"), NETWORKS.values(), ids=NETWORKS)
def test_letters_fit_into_boxes(model, size):
    root, _, boxes = drawn(model, size)
    texts = list(root.iter(f"{SVG}text"))[:-1]  # the last one is the note
    for text in texts:
        middle, y, half = float(text.get("x")), float(text.get("y")), len(text.text) * 0.602 * 11 / 2
        assert any(x < middle - half and middle + half < x + w and top + 8 < y < top + h for x, top, w, h in boxes)


@pytest.mark.parametrize(("model", "size"), NETWORKS.values(), ids=NETWORKS)
def test_lines_pass_no_box(model, size):
    root, _, boxes = drawn(model, size)
    for path in root.iter(f"{SVG}path"):
        start, curve = path.get("d")[1:].split(" C")
        y = float(start.split()[1])
        numbers = curve.replace(" V", " ").split()
        to, below = float(numbers[4]), float(numbers[5])
        end = float(numbers[6]) if "V" in curve else below
        for left, top, width, height in boxes:
            assert top + height <= y + 0.1 or below <= top + 0.1  # the curve lies in a gap
            if end > below + 0.1:
                assert not (left < to < left + width and below < top + height and top < end)


def test_texts_and_points():
    model = nn.Sequential()
    model.add_module("a<b", nn.Conv2d(1, 2, 3))
    root, *_ = drawn(model, (4, 1, 6, 6))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[:5] == ["input", "1 x 6 x 6", "a<b", "Conv2d 3 x 3", "2 x 4 x 4, 20 parameters"]
    assert texts[5] == "20 parameters, 1,152 multiply-adds; blue: with parameters"
    root, *_ = drawn(Paths(), (1, 1, 6, 6))
    assert len(list(root.iter(f"{SVG}circle"))) == 2
    assert "never" not in {text.text for text in root.iter(f"{SVG}text")}


def test_paths_go_on_where_they_parted():
    *_, boxes = drawn(Paths(), (1, 1, 6, 6))
    first, last, act = boxes[1], boxes[-2], boxes[-1]
    assert first[0] == last[0] == act[0]


def test_several_inputs():
    model = nn.Bilinear(2, 3, 4)
    root, *_ = drawn(model, [(1, 2), (1, 3)])
    assert [text.text for text in root.iter(f"{SVG}text")][1] == "2, 3"


def test_bad_size():
    with pytest.raises(ValueError, match="input_size"):
        viz.network_svg(nn.ReLU(), 224)
