"""What a network looks at: hooks on activations and gradients, guided backpropagation, adversarial images."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Hook:
    def __init__(self, module, backward=False):
        register = module.register_full_backward_hook if backward else module.register_forward_hook
        self.handle = register(self.hook)

    def hook(self, module, input, output):
        self.input, self.output = input, output

    def close(self):
        self.handle.remove()


def make():
    return [
        nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(8, 5),
        )
    ]


def run(modules, data):
    (net,) = modules
    forward, backward = [Hook(layer) for layer in net], [Hook(layer, backward=True) for layer in net]
    x = torch.tensor(data.random((2, 3, 8, 8)), requires_grad=True)
    net(x)[:, 1].sum().backward()
    results = [h.output for h in forward] + [g for h in backward for g in (*h.input, *h.output)]
    weights = backward[4].output[0].mean(dim=(2, 3), keepdim=True)
    cam = F.relu((weights * forward[4].output).sum(1, keepdim=True))
    cam = F.interpolate(cam, size=(8, 8), mode="bilinear", align_corners=False)
    results.append(cam - cam.min())
    for hook in forward + backward:
        hook.close()

    relus = [m for m in net.modules() if isinstance(m, nn.ReLU)]
    handles = [m.register_full_backward_hook(lambda m, gi, go: (torch.clamp(gi[0], min=0.0),)) for m in relus]
    x.grad = None
    net(x)[:, 2].sum().backward()
    saliency, where = x.grad.data.abs().max(dim=1)
    results += [saliency, where]
    for handle in handles:
        handle.remove()

    adversarial = x.detach().clone()
    for _ in range(3):
        adversarial.requires_grad_(True)
        loss = F.cross_entropy(net(adversarial), torch.tensor([1, 2]))
        g = torch.autograd.grad(loss, [adversarial])[0]
        adversarial = adversarial.detach() + 0.03 * torch.sign(g)
        adversarial = torch.clamp(torch.min(torch.max(adversarial, x - 0.05), x + 0.05), 0.0, 1.0).detach()
    return [*results, adversarial]
