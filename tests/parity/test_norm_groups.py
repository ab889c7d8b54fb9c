"""Layer, group, instance and RMS normalisation."""

import numpy as np
import pytest

from .compare import agree, agree_or_both_reject, normal, rows, same_in_both

FORMS = rows("""
    F.layer_norm(x, (5,))
    F.layer_norm(x, [3, 5])
    F.layer_norm(x, (6, 3, 5), eps=1e-2)
    F.layer_norm(x, (3, 5), x[0, 0] + 2, x[0, 1])
    F.layer_norm(x, (5,), w[:5], w[:5])
    F.layer_norm(x, (5,), None, w[:5])
    F.layer_norm(x[:0], (5,))
    F.layer_norm(x.float(), (3, 5))
    F.layer_norm(x.transpose(0, 3), (2,))
    F.layer_norm(x[:, :, :, :1], (1,))
    F.rms_norm(x, (5,))
    F.rms_norm(x, (3, 5), eps=0.1)
    F.rms_norm(x, (5,), w[:5])
    F.rms_norm(x.float(), (6, 3, 5))
    F.group_norm(x, 1)
    F.group_norm(x, 3, w, v)
    F.group_norm(x, 6, w)
    F.group_norm(x, num_groups=2, eps=0.1)
    F.group_norm(x[:, :, 0, 0], 2)
    F.group_norm(x[:0], 2)
    F.group_norm(x.float(), 3)
    F.instance_norm(x)
    F.instance_norm(x, weight=w, bias=v, eps=0.1)
    F.instance_norm(x[:, :, 0])
    F.instance_norm(x, v.detach(), w.detach().abs() + 1, use_input_stats=False)
    F.instance_norm(x, v.detach(), w.detach().abs() + 1, w, v, False)
    F.instance_norm(x.unsqueeze(2).float())
    F.layer_norm(x, (3,))
    F.layer_norm(x, ())
    F.layer_norm(x, (5,), w)
    F.layer_norm(x.long(), (5,))
    F.group_norm(x, 4)
    F.group_norm(x, 2, w[:3])
    F.group_norm(x[:1, :, 0, 0], 6)
    F.instance_norm(x[:, :, :1, :1])
    F.instance_norm(x, use_input_stats=False)
    F.rms_norm(x, (4,))
""")


@pytest.mark.parametrize("code", FORMS)
def test_forms(code):
    agree_or_both_reject(code, x=normal(2, 6, 3, 5) * 2 + 1, w=normal(6), v=normal(6, seed=1))


def test_in_single_precision():
    for code in ("F.layer_norm(x, (7, 6))", "F.group_norm(x, 2)", "F.instance_norm(x)", "F.rms_norm(x, (6,))"):
        agree(code, True, x=normal(3, 4, 7, 6, dtype=np.float32))


@same_in_both
def test_running_averages(t):
    mean, var = t.zeros(4, dtype=t.float64), t.ones(4, dtype=t.float64)
    for seed in range(3):
        y = t.nn.functional.instance_norm(t.from_numpy(normal(3, 4, 5, seed=seed)), mean, var, momentum=0.3)
    return y, mean, var
