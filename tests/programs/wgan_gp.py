"""A Wasserstein GAN whose critic is punished for gradients unlike 1: second derivatives through normalisation."""
import torch
import torch.nn as nn
from torch import autograd
from torch.autograd import Variable
from torch.nn.utils import spectral_norm


class Critic(nn.Module):
    def __init__(self):
        super().__init__()

        def block(cin, cout, normalize=True):
            layers = [nn.Conv2d(cin, cout, 4, 2, 1)]
            if normalize:
                layers.append(nn.InstanceNorm2d(cout, affine=True))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(*block(1, 4, normalize=False), *block(4, 8), nn.BatchNorm2d(8), nn.Tanh())
        self.head = spectral_norm(nn.Conv2d(8, 1, 4, 1, 0))

    def forward(self, x):
        return self.head(self.model(x)).view(x.size(0), -1)


def gradient_penalty(critic, real, fake, alpha):
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(interpolates)
    ones = Variable(torch.ones(scores.shape, dtype=scores.dtype), requires_grad=False)
    gradients = autograd.grad(
        outputs=scores, inputs=interpolates, grad_outputs=ones, create_graph=True, retain_graph=True, only_inputs=True
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def make():
    return [Critic()]


def run(modules, data):
    (critic,) = modules
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
    results = []
    for _ in range(3):
        real, fake = (torch.tensor(data.standard_normal((4, 1, 16, 16))) for _ in range(2))
        penalty = gradient_penalty(critic, real, fake, torch.tensor(data.random((4, 1, 1, 1))))
        loss = -torch.mean(critic(real)) + torch.mean(critic(fake)) + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        results += [penalty, loss, *(p.grad.clone() for p in critic.parameters() if p.dim() != 1)]
        optimizer.step()
    return results
