"""Plain CycleGAN training step as in the public code, the reference for the package's own step.

fp32, one forward for each input, `nn.InstanceNorm2d`, a pool of lists, torch's default settings, everything
contiguous (channels-last gradients of `nn.InstanceNorm2d` are wrong on the CPU at batch size 1).
"""

import itertools
import random

import torch
from torch import Tensor, nn

NORM = nn.InstanceNorm2d


def resnet_block(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), NORM(width), nn.ReLU(True),
        nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), NORM(width),
    )  # fmt: skip


class Skip(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block = resnet_block(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def generator(width: int, n_blocks: int, n_channels: int) -> nn.Sequential:
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(n_channels, width, 7), NORM(width), nn.ReLU(True)]
    for w in (width, 2 * width):
        layers += [nn.Conv2d(w, 2 * w, 3, 2, 1), NORM(2 * w), nn.ReLU(True)]
    layers += [Skip(4 * width) for _ in range(n_blocks)]
    for w in (4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(w, w // 2, 3, 2, 1, output_padding=1), NORM(w // 2), nn.ReLU(True)]
    return initialised(
        nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, n_channels, 7), nn.Tanh())
    )


def discriminator(width: int, n_channels: int) -> nn.Sequential:
    layers = [nn.Conv2d(n_channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for w, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
        layers += [nn.Conv2d(w, 2 * w, 4, stride, 1), NORM(2 * w), nn.LeakyReLU(0.2, True)]
    return initialised(nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1)))


def initialised(network: nn.Sequential) -> nn.Sequential:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            nn.init.zeros_(module.bias)
    return network


class ListPool:
    def __init__(self, size: int = 50) -> None:
        self.size, self.images = size, []

    def query(self, images: Tensor) -> Tensor:
        out = []
        for image in images.data:
            image = image.unsqueeze(0)
            if len(self.images) < self.size:
                self.images.append(image)
                out.append(image)
            elif random.uniform(0, 1) > 0.5:
                index = random.randint(0, self.size - 1)
                out.append(self.images[index].clone())
                self.images[index] = image
            else:
                out.append(image)
        return torch.cat(out, 0)


class ReferenceStep:
    """Two generators, two discriminators, and `optimize_parameters` of the public code."""

    def __init__(self, width: int, n_blocks: int, device: torch.device, n_channels: int = 1) -> None:
        self.gen_ab, self.gen_ba = (generator(width, n_blocks, n_channels).to(device) for _ in range(2))
        self.disc_a, self.disc_b = (discriminator(width, n_channels).to(device) for _ in range(2))
        self.pool_a, self.pool_b = ListPool(), ListPool()
        gens, discs = (self.gen_ab, self.gen_ba), (self.disc_a, self.disc_b)
        self.opt_gen, self.opt_disc = (
            torch.optim.Adam(
                itertools.chain(*(net.parameters() for net in nets)), lr=2e-4, betas=(0.5, 0.999)
            )
            for nets in (gens, discs)
        )
        self.mse, self.l1 = nn.MSELoss(), nn.L1Loss()

    def gan(self, score: Tensor, real: bool) -> Tensor:
        return self.mse(score, torch.full_like(score, float(real)))

    def __call__(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        fake_b = self.gen_ab(real_a)
        rec_a = self.gen_ba(fake_b)
        fake_a = self.gen_ba(real_b)
        rec_b = self.gen_ab(fake_a)
        self.freeze(True)
        self.opt_gen.zero_grad()
        losses = {
            "identity_b": self.l1(self.gen_ab(real_b), real_b),
            "identity_a": self.l1(self.gen_ba(real_a), real_a),
            "adversarial_ab": self.gan(self.disc_b(fake_b), True),
            "adversarial_ba": self.gan(self.disc_a(fake_a), True),
            "cycle_a": self.l1(rec_a, real_a),
            "cycle_b": self.l1(rec_b, real_b),
        }
        weights = {"identity": 5.0, "adversarial": 1.0, "cycle": 10.0}
        sum(weights[name.split("_")[0]] * loss for name, loss in losses.items()).backward()
        self.opt_gen.step()
        self.freeze(False)
        self.opt_disc.zero_grad()
        for name, disc, real, fake in (
            ("disc_a", self.disc_a, real_a, self.pool_a.query(fake_a)),
            ("disc_b", self.disc_b, real_b, self.pool_b.query(fake_b)),
        ):
            losses[name] = 0.5 * (self.gan(disc(real), True) + self.gan(disc(fake.detach()), False))
            losses[name].backward()
        self.opt_disc.step()
        return losses

    def freeze(self, frozen: bool) -> None:
        for network in (self.disc_a, self.disc_b):
            for parameter in network.parameters():
                parameter.requires_grad = not frozen
