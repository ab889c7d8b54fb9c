"""A convolutional variational autoencoder: transposed convolutions, reparametrisation, BCE plus KL divergence, Adam."""
import torch
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, latent=4):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, stride=2, padding=1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
            nn.Conv2d(8, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.SiLU(), nn.Flatten(),
        )
        self.mu = nn.Linear(16 * 4 * 4, latent)
        self.logvar = nn.Linear(16 * 4 * 4, latent)
        self.expand = nn.Linear(latent, 16 * 4 * 4)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (16, 4, 4)),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.ELU(),
            nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid(),
        )

    def reparameterize(self, mu, logvar, noise):
        std = torch.exp(0.5 * logvar)
        return mu + noise * std

    def forward(self, x, noise):
        hidden = self.encoder(x)
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        return self.decoder(self.expand(self.reparameterize(mu, logvar, noise))), mu, logvar


def loss_function(recon, x, mu, logvar):
    bce = F.binary_cross_entropy(recon.view(-1, 256), x.view(-1, 256), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def make():
    return [VAE()]


def run(modules, data):
    (model,) = modules
    optimizer = optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)
    losses = []
    for _ in range(3):
        x = torch.tensor(data.random((6, 1, 16, 16)))
        noise = torch.tensor(data.standard_normal((6, 4)))
        recon, mu, logvar = model(x, noise)
        loss = loss_function(recon, x, mu, logvar)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 50.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        sample = model.decoder(model.expand(torch.tensor(data.standard_normal((2, 4)))))
    return [*losses, sample]
