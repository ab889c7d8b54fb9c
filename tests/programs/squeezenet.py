"""SqueezeNet: fire modules, ceil_mode pooling, hooks, freezing, saving and loading a state dict, Grad-CAM."""
import io

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init


class Fire(nn.Module):
    def __init__(self, inplanes, squeeze_planes, expand1x1_planes, expand3x3_planes):
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat(
            [self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))], 1
        )


class SqueezeNet(nn.Module):
    def __init__(self, num_classes=7):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            Fire(8, 4, 6, 6),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            Fire(12, 4, 8, 8),
        )
        final_conv = nn.Conv2d(16, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(nn.Dropout(p=0.0), final_conv, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1)))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                if m is final_conv:
                    init.normal_(m.weight, mean=0.0, std=0.5)
                else:
                    init.kaiming_uniform_(m.weight)
                if m.bias is not None:
                    init.constant_(m.bias, 0)

    def forward(self, x):
        x = self.features(x)
        return torch.flatten(self.classifier(x), 1)


def make():
    return [SqueezeNet()]


def run(modules, data):
    (model,) = modules
    x = torch.tensor(data.standard_normal((3, 3, 25, 25)))
    target = torch.tensor(data.integers(0, 7, 3))
    for p in model.features[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.05, momentum=0.9)
    shapes = []
    handles = [m.register_forward_hook(lambda m, i, o: shapes.append(list(o.shape))) for m in model.modules() if isinstance(m, Fire)]
    results = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target, reduction="none").mean()
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    for h in handles:
        h.remove()
    maps, grads = [], []
    layer = model.features[-1]
    h1 = layer.register_forward_hook(lambda m, i, o: maps.append(o))
    h2 = layer.register_full_backward_hook(lambda m, gi, go: grads.append(go[0]))
    logits = model(x)
    logits.gather(1, target.unsqueeze(1)).sum().backward()
    weights = grads[0].mean(dim=(2, 3), keepdim=True)
    cam = F.relu((weights * maps[0]).sum(dim=1, keepdim=True))
    cam = F.interpolate(cam, size=x.shape[2:], mode="bilinear", align_corners=False)
    h1.remove()
    h2.remove()
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    copy = SqueezeNet().to(x.dtype)
    copy.load_state_dict(torch.load(buffer, map_location="cpu"))
    same = torch.equal(copy.eval()(x), model.eval()(x))
    return [*results, [float(n) for s in shapes for n in s], cam, float(same), logits.argmax(1)]
