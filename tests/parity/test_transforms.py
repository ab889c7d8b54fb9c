"""Geometry and filters of images, against the operations of PyTorch that torchvision is made of."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402
from tinygrad_cnn.transforms import InterpolationMode  # noqa: E402
from tinygrad_cnn.transforms import functional as F  # noqa: E402

IMAGES = np.random.default_rng(0).random((2, 3, 13, 17)).astype(np.float32)
BYTES = np.random.default_rng(1).integers(0, 256, (2, 3, 13, 17), np.uint8)
MODES = ["nearest", "nearest-exact", "bilinear", "bicubic"]


def close(ours, theirs, atol=2e-6):
    assert ours.dtype.name == str(theirs.dtype).split(".")[1]
    np.testing.assert_allclose(ours.numpy().astype(float), theirs.numpy().astype(float), rtol=0, atol=atol)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(5, 6), (13, 40), (40, 17), (1, 1), (12, 16), (3, 33)])
def test_resize(mode, size, antialias):
    smooth = mode in ("bilinear", "bicubic")
    options = {"align_corners": False, "antialias": antialias} if smooth else {}
    theirs = torch.nn.functional.interpolate(torch.from_numpy(IMAGES), size, mode=mode, **options)
    close(F.resize(tg.from_numpy(IMAGES), size, InterpolationMode(mode), antialias=antialias), theirs)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(BYTES).float(), size, mode=mode, **options)
    theirs = theirs.round().clamp(0, 255).to(torch.uint8)
    ours = F.resize(tg.from_numpy(BYTES), size, InterpolationMode(mode), antialias=antialias)
    close(ours, theirs, atol=1)  # the order of a sum may decide how a half is rounded
    assert (ours.numpy() != theirs.numpy()).mean() < 0.01


def sampled(image, matrix, mode, rows, columns):
    """Sample as torchvision does: by an affine grid, in PyTorch."""
    height, width = image.shape[-2:]
    theta = torch.tensor(matrix, dtype=torch.float64).reshape(1, 2, 3)
    x = torch.linspace(-columns / 2 + 0.5, columns / 2 - 0.5, columns, dtype=torch.float64)
    y = torch.linspace(-rows / 2 + 0.5, rows / 2 - 0.5, rows, dtype=torch.float64)
    base = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones(rows, columns, dtype=torch.float64)], -1)
    grid = base.reshape(1, -1, 3) @ (theta.transpose(1, 2) / torch.tensor([width / 2, height / 2]))
    grid = grid.reshape(1, rows, columns, 2).expand(len(image), -1, -1, -1)
    return torch.nn.functional.grid_sample(image.double(), grid, mode, "zeros", align_corners=False)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [None, 0.5, [0.1, 0.2, 0.3]])
@pytest.mark.parametrize(
    ("angle", "translate", "scale", "shear"),
    [(31, (0, 0), 1.0, (0, 0)), (-77.3, (2, -3), 0.7, (11, 0)), (5, (1, 1), 1.3, (-8, 21)), (180.4, (0, 0), 2.0, 4)],
)
def test_affine(mode, fill, angle, translate, scale, shear):
    image = torch.from_numpy(IMAGES)
    pair = (shear, 0.0) if isinstance(shear, int) else shear
    matrix = F._inverse_matrix(angle, translate, scale, pair, 0, 0)
    theirs, mask = [sampled(x, matrix, mode, 13, 17) for x in (image, torch.ones_like(image))]
    if fill is not None:
        colour = torch.tensor(fill, dtype=torch.float64).reshape(-1, 1, 1)
        theirs = torch.where(mask < 0.5, colour, theirs) if mode == "nearest" else theirs * mask + (1 - mask) * colour
    ours = F.affine(tg.from_numpy(IMAGES), angle, translate, scale, shear, InterpolationMode(mode), fill)
    close(ours, theirs.float())


def test_the_matrix_undoes_the_movement():
    """Compose T(move) C R S Shear C^-1 as its definition says, and multiply."""
    angle, (tx, ty), scale, (sx, sy), (cx, cy) = 33.0, (3.0, -2.0), 1.7, (12.0, -7.0), (4.0, 6.0)
    r, p, q = np.radians([angle, sx, sy])
    turn = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    shear = np.array([[1, 0, 0], [-np.tan(q), 1, 0], [0, 0, 1]]) @ np.array([[1, -np.tan(p), 0], [0, 1, 0], [0, 0, 1]])

    def move(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    forward = move(tx, ty) @ move(cx, cy) @ turn @ shear @ np.diag([scale, scale, 1]) @ move(-cx, -cy)
    inverse = np.reshape(F._inverse_matrix(angle, (tx, ty), scale, (sx, sy), cx, cy), (2, 3))
    np.testing.assert_allclose(inverse @ forward, np.eye(3)[:2], atol=1e-12)


@pytest.mark.parametrize(("size", "sigma"), [(3, 0.8), ([5, 3], [0.5, 2.0]), ([1, 7], None)])
def test_gaussian_blur(size, sigma):
    kx, ky = (size, size) if isinstance(size, int) else size
    sigmas = (
        [k * 0.15 + 0.35 for k in (kx, ky)] if sigma is None else [sigma] * 2 if isinstance(sigma, float) else sigma
    )
    weights = []
    for k, s in ((kx, sigmas[0]), (ky, sigmas[1])):
        at = torch.linspace(-(k - 1) / 2, (k - 1) / 2, k)
        pdf = torch.exp(-0.5 * (at / s) ** 2)
        weights.append(pdf / pdf.sum())
    kernel = (weights[1][:, None] * weights[0]).expand(3, 1, ky, kx)
    padded = torch.nn.functional.pad(torch.from_numpy(IMAGES), [kx // 2, kx // 2, ky // 2, ky // 2], "reflect")
    close(F.gaussian_blur(tg.from_numpy(IMAGES), size, sigma), torch.nn.functional.conv2d(padded, kernel, groups=3))


@pytest.mark.parametrize("mode", ["edge", "reflect", "constant"])
@pytest.mark.parametrize("padding", [2, (1, 3), (1, 2, 3, 4), (-1, 2, -3, 0)])
def test_pad(mode, padding):
    left, top, right, bottom = F.sides(padding)
    kind = {"edge": "replicate"}.get(mode, mode)
    theirs = torch.nn.functional.pad(torch.from_numpy(IMAGES), [left, right, top, bottom], kind)
    close(F.pad(tg.from_numpy(IMAGES), padding, 0, mode), theirs, atol=0)
