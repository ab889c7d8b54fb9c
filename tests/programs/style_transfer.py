"""Style transfer: a transformation net with reflection padding, instance norm and upsampling; Gram matrices; also the image
itself as the parameter."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import Adam


class ConvLayer(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, upsample=None):
        super().__init__()
        self.upsample = upsample
        self.reflection_pad = nn.ReflectionPad2d(kernel_size // 2)
        self.conv2d = nn.Conv2d(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        if self.upsample:
            x = F.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.conv2d(self.reflection_pad(x))


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, 3, 1)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, 3, 1)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.in2(self.conv2(self.relu(self.in1(self.conv1(x))))) + x


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(ConvLayer(3, 6, 5, 1), nn.InstanceNorm2d(6, affine=True), nn.ReLU(), ConvLayer(6, 8, 3, 2))
        self.res = ResidualBlock(8)
        self.up = ConvLayer(8, 3, 3, 1, upsample=2)

    def forward(self, x):
        return self.up(self.res(self.down(x)))


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.slices = nn.ModuleList([
            nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.Softplus()),
        ])
        for p in self.parameters():
            p.requires_grad_(False)

    def forward(self, x):
        maps = []
        for part in self.slices:
            x = part(x)
            maps.append(x)
        return maps


def gram_matrix(y):
    b, ch, h, w = y.size()
    features = y.view(b, ch, w * h)
    return features.bmm(features.transpose(1, 2)) / (ch * h * w)


def make():
    return [Transformer(), Features()]


def run(modules, data):
    net, vgg = modules
    mse = nn.MSELoss()
    content = torch.tensor(data.random((2, 3, 12, 12)))
    style = torch.tensor(data.random((1, 3, 12, 12)))
    grams = [gram_matrix(m) for m in vgg(style)]
    optimizer = Adam(net.parameters(), 1e-2)
    results = []
    for _ in range(2):
        optimizer.zero_grad()
        y = net(content)
        ours, theirs = vgg(y), vgg(content)
        style_loss = sum(mse(gram_matrix(m), g.expand(len(content), -1, -1)) for m, g in zip(ours, grams))
        variation = torch.mean(torch.abs(y[:, :, :, 1:] - y[:, :, :, :-1]))
        loss = mse(ours[1], theirs[1]) + 100 * style_loss + 0.1 * variation
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    image = style.clone().requires_grad_(True)
    optimizer = Adam([image], lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        loss = sum((gram_matrix(m) - g.detach() * 2).pow(2).sum() for m, g in zip(vgg(image), grams))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
    return [*results, image, net(content)]
