"""The drawing functions: what they show, bad input, and that nothing global changes."""

from __future__ import annotations

import io
import sys

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import viz

matplotlib = pytest.importorskip("matplotlib", reason="pip install 'tinygrad_cnn[viz]'")
from matplotlib.figure import Figure  # noqa: E402

IMAGES = tg.rand(3, 1, 6, 6)
ACTIVATIONS = [viz.Activation(1.5 * i, i, (0, 0), IMAGES[i]) for i in range(3)]
MISTAKES = [viz.Mistake(i, 0, 1, 0.9) for i in range(3)]
MATRIX = tg.tensor([[5, 1], [0, 4]])
DRAWINGS = {
    "filters": lambda **to: viz.draw_filters(tg.randn(20, 1, 3, 3), **to),
    "filters before and after": lambda **to: viz.draw_filters(tg.randn(4, 1, 3, 3), tg.randn(4, 1, 3, 3), **to),
    "filters in colours": lambda **to: viz.draw_filters(tg.randn(4, 3, 3, 3), tg.randn(4, 3, 3, 3), **to),
    "one filter of zeros": lambda **to: viz.draw_filters(tg.zeros(1, 1, 3, 3), **to),
    "feature maps": lambda **to: viz.draw_feature_maps({"a": tg.rand(20, 5, 5), "b": tg.rand(7), "c": tg.rand(1, 2, 2)}, **to),
    "top activations": lambda **to: viz.draw_top_activations(ACTIVATIONS, 2, **to),
    "saliency": lambda **to: viz.draw_saliency(tg.rand(3, 6, 6), tg.rand(6, 6), **to),
    "Grad-CAM": lambda **to: viz.draw_grad_cam(IMAGES[0], tg.rand(2, 2), **to),
    "confusion": lambda **to: viz.draw_confusion_matrix(MATRIX, **to),
    "confusion and mistakes": lambda **to: viz.draw_confusion_matrix(MATRIX, ["cat", "ship"], MISTAKES, IMAGES, **to),
    "learning curves": lambda **to: viz.draw_learning_curves({"loss": {"training": [2.0, 1.0]}, "f1": {"validation": [1.0]}}, **to),
}  # fmt: skip


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)
def test_drawings(draw):
    settings = dict(matplotlib.rcParams)
    figure = draw()
    file = io.BytesIO()
    figure.savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == settings
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    own = Figure(figsize=(9, 6))
    left, right = own.subfigures(1, 2)
    assert draw(figure=right) is right
    assert left.axes == []
    own.savefig(io.BytesIO())


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def test_filters_share_a_symmetric_scale():
    before, after = tg.full((2, 1, 2, 2), 0.5), tg.full((2, 1, 2, 2), -2.0)
    figure = viz.draw_filters(after, before)
    shown = [axes.images[0] for axes in figure.axes[:2]]
    assert [image.get_clim() for image in shown] == [(-2, 2)] * 2
    assert float(shown[0].get_array().max()) == 0.5
    assert {"before training", "after training", "weight"} <= set(texts(figure))
    assert "weights from -2 (dark) to 2 (bright) in each colour" in texts(viz.draw_filters(tg.full((1, 3, 2, 2), -2.0)))


def test_the_matrix_has_counts_and_names():
    found = texts(viz.draw_confusion_matrix(MATRIX, ["cat", "ship"], MISTAKES, IMAGES))
    assert {"5", "1", "4", "true", "predicted", "share of the true class"} <= set(found)
    assert found.count("ship 90 %\n(cat)") == 3
    assert "ship" in found


def test_the_maps_of_a_layer_are_cut_and_say_so():
    found = texts(viz.draw_feature_maps({"a": tg.rand(20, 5, 5), "b": tg.rand(7)}))
    assert {"a: 20 x 5 x 5, the first 16", "b: 7"} <= set(found)


def test_grad_cam_covers_the_image():
    figure = viz.draw_grad_cam(IMAGES[0], tg.rand(2, 2))
    image, cam = figure.axes[1].images
    assert image.get_extent() == list(cam.get_extent())


BAD = {
    "channels": ("choose channels first", lambda: viz.draw_filters(tg.ones(2, 4, 3, 3))),
    "other filters": (r"before has the shape \(1, 1, 3, 3\)", lambda: viz.draw_filters(tg.ones(2, 1, 3, 3), tg.ones(1, 1, 3, 3))),
    "no maps": ("there are no maps", lambda: viz.draw_feature_maps({})),
    "no image": (r"must have the shape .*, got \(2, 4, 4\)", lambda: viz.draw_saliency(tg.ones(2, 4, 4), tg.ones(4, 4))),
    "no activations": ("there are no activations", lambda: viz.draw_top_activations([])),
    "names": ("the matrix is .* for 3 classes", lambda: viz.draw_confusion_matrix(MATRIX, ["a", "b", "c"])),
    "images": ("3 mistakes, but 0 images", lambda: viz.draw_confusion_matrix(MATRIX, None, MISTAKES)),
    "no curves": ("there are no curves", lambda: viz.draw_learning_curves({})),
}  # fmt: skip


@pytest.mark.parametrize(("text", "draw"), BAD.values(), ids=BAD)
def test_bad_input(text, draw):
    with pytest.raises(ValueError, match=text):
        draw()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad_cnn\[viz\]'"):
        viz.draw_learning_curves({"loss": {"training": [1.0]}})
