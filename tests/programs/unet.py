"""A U-Net for segmentation: skips, bilinear and transposed upsampling, cross-entropy with dice, RMSprop, ReduceLROnPlateau."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset, random_split


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(in_channels, out_channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        dy = x2.size()[2] - x1.size()[2]
        dx = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes, bilinear=False):
        super().__init__()
        factor = 2 if bilinear else 1
        self.n_classes = n_classes
        self.inc = DoubleConv(n_channels, 4)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 16 // factor))
        self.up1 = Up(16, 8 // factor, bilinear)
        self.up2 = Up(8, 4, bilinear)
        self.outc = nn.Conv2d(4, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x = self.up1(self.down2(x2), x2)
        return self.outc(self.up2(x, x1))


def dice_coeff(input, target, reduce_batch_first=False, epsilon=1e-6):
    sum_dim = (-1, -2) if input.dim() == 2 or not reduce_batch_first else (-1, -2, -3)
    inter = 2 * (input * target).sum(dim=sum_dim)
    sets_sum = input.sum(dim=sum_dim) + target.sum(dim=sum_dim)
    sets_sum = torch.where(sets_sum == 0, inter, sets_sum)
    return ((inter + epsilon) / (sets_sum + epsilon)).mean()


class Shapes(Dataset):
    def __init__(self, images, masks):
        self.images, self.masks = images, masks

    def __len__(self):
        return len(self.images)

    def __getitem__(self, idx):
        return {
            "image": torch.as_tensor(self.images[idx].copy()).double().contiguous(),
            "mask": torch.as_tensor(self.masks[idx].copy()).long().contiguous(),
        }


@torch.inference_mode()
def evaluate(net, loader):
    net.eval()
    scores = []
    for batch in loader:
        pred = F.one_hot(net(batch["image"]).argmax(dim=1), net.n_classes).permute(0, 3, 1, 2).double()
        true = F.one_hot(batch["mask"], net.n_classes).permute(0, 3, 1, 2).double()
        scores.append(dice_coeff(pred[:, 1:].flatten(0, 1), true[:, 1:].flatten(0, 1), reduce_batch_first=False))
    net.train()
    return sum(scores) / max(len(scores), 1)


def make():
    return [UNet(3, 3, bilinear=True), UNet(3, 3)]


def run(models, rng):
    images, masks = rng.normal(size=(6, 3, 13, 18)), rng.integers(0, 3, (6, 13, 18))
    dataset = Shapes(images, masks)
    train_set, val_set = random_split(dataset, [4, 2], generator=torch.Generator().manual_seed(0))
    train_set.indices, val_set.indices = [0, 1, 2, 3], [4, 5]
    results = []
    for model in models:
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9, foreach=True)
        scheduler = ReduceLROnPlateau(optimizer, "max", patience=0)
        grad_scaler = torch.amp.GradScaler("cuda", enabled=False)
        criterion = nn.CrossEntropyLoss()
        for _ in range(2):
            for batch in DataLoader(train_set, shuffle=False, batch_size=2):
                with torch.autocast("cpu", enabled=False):
                    pred = model(batch["image"])
                    loss = criterion(pred, batch["mask"])
                    loss += 1 - dice_coeff(
                        F.softmax(pred, dim=1).flatten(0, 1),
                        F.one_hot(batch["mask"], model.n_classes).permute(0, 3, 1, 2).double().flatten(0, 1),
                    )
                optimizer.zero_grad(set_to_none=True)
                grad_scaler.scale(loss).backward()
                grad_scaler.unscale_(optimizer)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                grad_scaler.step(optimizer)
                grad_scaler.update()
                results += [loss, norm]
            score = evaluate(model, DataLoader(val_set, batch_size=1))
            scheduler.step(score)
            results += [score, optimizer.param_groups[0]["lr"]]
    return results
