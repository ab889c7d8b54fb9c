"""ESPCN: sub-pixel convolution with PixelShuffle, orthogonal_ initialisation, MSE, PSNR."""
from math import log10

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight)


def make():
    return [Net(3)]


def run(modules, data):
    (model,) = modules
    criterion = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
    results = []
    for _ in range(3):
        target = torch.tensor(data.random((2, 1, 18, 18)))
        small = nn.functional.interpolate(target, scale_factor=1 / 3, mode="bicubic", align_corners=False)
        optimizer.zero_grad()
        loss = criterion(model(small), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        results += [loss.item(), 10 * log10(1 / loss.item()), scheduler.get_last_lr()[0]]
    up = nn.functional.interpolate(target, size=(24, 20), mode="bilinear", align_corners=True)
    return [*results, up, model(small)]
