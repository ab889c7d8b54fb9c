"""MobileNetV2: inverted residuals with depthwise convolutions and ReLU6, parameter groups, EMA of weights, RMSprop."""
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def _make_divisible(v, divisor):
    new_v = max(divisor, int(v + divisor / 2) // divisor * divisor)
    return new_v + divisor if new_v < 0.9 * v else new_v


class ConvBNReLU(nn.Sequential):
    def __init__(self, in_planes, out_planes, kernel_size=3, stride=1, groups=1):
        padding = (kernel_size - 1) // 2
        super().__init__(
            nn.Conv2d(in_planes, out_planes, kernel_size, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(out_planes),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        hidden_dim = int(round(inp * expand_ratio))
        self.use_res_connect = stride == 1 and inp == oup
        layers = []
        if expand_ratio != 1:
            layers.append(ConvBNReLU(inp, hidden_dim, kernel_size=1))
        layers.extend([
            ConvBNReLU(hidden_dim, hidden_dim, stride=stride, groups=hidden_dim),
            nn.Conv2d(hidden_dim, oup, 1, 1, 0, bias=False),
            nn.BatchNorm2d(oup),
        ])
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, num_classes=6, width_mult=0.25):
        super().__init__()
        input_channel = _make_divisible(32 * width_mult, 8)
        features = [ConvBNReLU(3, input_channel, stride=2)]
        for t, c, n, s in [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 1]]:
            for i in range(n):
                output_channel = _make_divisible(c * width_mult, 8)
                features.append(InvertedResidual(input_channel, output_channel, s if i == 0 else 1, t))
                input_channel = output_channel
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=0.0), nn.Linear(input_channel, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.features(x)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        return self.classifier(torch.flatten(x, 1))


def make():
    return [MobileNetV2()]


def run(modules, data):
    (model,) = modules
    decay = [p for n, p in model.named_parameters() if p.ndim > 1]
    others = [p for n, p in model.named_parameters() if p.ndim <= 1]
    optimizer = torch.optim.RMSprop(
        [{"params": decay, "weight_decay": 4e-5}, {"params": others, "lr": 5e-4}], lr=1e-3, momentum=0.9, eps=0.0316
    )
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    loss_fn = nn.CrossEntropyLoss(weight=torch.tensor(data.random(6) + 0.5))
    results = []
    for step in range(3):
        images = torch.tensor(data.standard_normal((4, 3, 16, 16)))
        target = torch.tensor(data.integers(0, 6, 4))
        loss = loss_fn(model(images), target) / 2
        loss.backward()
        if step % 2:
            optimizer.step()
            optimizer.zero_grad()
            ema.update_parameters(model)
        results.append(loss.item())
    ema.eval()
    values, indices = torch.topk(ema(images), 3, dim=1)
    return [*results, values, indices, torch.cat([p.detach().reshape(-1) for p in ema.parameters()])]
