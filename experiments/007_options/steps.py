"""Measure the CPU time of training steps of small cut and fastcut relative to cyclegan, interleaved.

python experiments/007_options/steps.py
"""

import time
from statistics import median

import torch
from hydra.utils import instantiate

from cyclegan_audio.config import compose

MODELS, ROUNDS, FRAMES = ("cyclegan_resnet_small", "cut_small", "fastcut_small"), 5, 176


def step_s(model, optimizers, draws: torch.Generator) -> float:
    """Measure CPU seconds of one step on random mels."""
    reals = {name: torch.rand(1, 1, 128, FRAMES, generator=draws) * 2 - 1 for name in ("real_a", "real_b")}
    start = time.process_time()
    fakes = model.generator_phase(reals)
    optimizers[0].step()
    model.discriminator_phase({**reals, **fakes})
    optimizers[1].step()
    return time.process_time() - start


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models = {
        name: instantiate(compose("train", [f"model={name}"]).model, _convert_="all") for name in MODELS
    }
    for model in models.values():
        model.manual_backward = lambda loss: loss.backward()
    optimizers = {name: model.configure_optimizers() for name, model in models.items()}
    draws = torch.Generator().manual_seed(0)
    rounds = [{n: step_s(m, optimizers[n], draws) for n, m in models.items()} for _ in range(ROUNDS + 1)][1:]
    for name in MODELS:
        ratios = [seconds[name] / seconds[MODELS[0]] for seconds in rounds]
        print(f"{name}: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of {MODELS[0]}'s step")
