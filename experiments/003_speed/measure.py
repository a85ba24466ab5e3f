"""Measure time and memory of a training step with each acceleration setting and of the plain reference.

    python measure.py steps   [--device cuda] [--model paper] [--size 128x176] [--rounds 7]
    python measure.py scale   [--device cuda] [--model small]   # against clip length, batch and width

All methods are interleaved in one process. Prints medians: of process time with one thread on a CPU, of wall
time of `--steps` steps with a final synchronisation on CUDA. Prints Markdown; `--csv` keeps all rounds.
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from reference import ReferenceStep
from torch import Tensor

from cyclegan_audio.models.acceleration import Acceleration
from cyclegan_audio.models.cyclegan import CycleGAN
from cyclegan_audio.models.losses.adversarial import AdversarialLoss, LSGANLoss
from cyclegan_audio.models.lr_schedules import LinearDecay
from cyclegan_audio.models.networks.discriminators import PatchDiscriminator
from cyclegan_audio.models.networks.generators import ResnetGenerator

MODELS = {"paper": (64, 9), "small": (16, 6), "tiny": (4, 1)}  # filters, blocks
OFF = {
    "joint_forwards": False, "channels_last": False, "fused_optimizer": False, "cuda_graphs": False,
    "compile": False,
}  # fmt: skip
CPU_STEPS = {
    "fp32": ("32-true", OFF),
    "fp32, joint forwards": ("32-true", OFF | {"joint_forwards": True}),
    "fp32, fused Adam": ("32-true", OFF | {"fused_optimizer": True}),
    "fp32, channels-last": ("32-true", OFF | {"channels_last": True}),
    "bf16": ("bf16-mixed", OFF),
    "bf16, joint forwards": ("bf16-mixed", OFF | {"joint_forwards": True}),
    "bf16, channels-last": ("bf16-mixed", OFF | {"channels_last": True}),
    "auto": ("bf16-mixed", {}),
}
CUDA_STEPS = {
    "fp32": ("32-true", OFF),
    "bf16": ("bf16-mixed", OFF),
    "bf16, joint forwards": ("bf16-mixed", OFF | {"joint_forwards": True}),
    "bf16, channels-last": ("bf16-mixed", OFF | {"channels_last": True}),
    "bf16, fused Adam": ("bf16-mixed", OFF | {"fused_optimizer": True}),
    "auto": ("bf16-mixed", {}),
    "auto, compiled": ("bf16-mixed", {"compile": True}),
    "fp32, else auto": ("32-true", {}),
}
GRAPH_STEPS = {  # measured in a process of their own, as a failed capture may make CUDA unusable
    "bf16": ("bf16-mixed", OFF),
    "bf16, graphs": ("bf16-mixed", OFF | {"cuda_graphs": True}),
    "auto": ("bf16-mixed", {}),
    "auto, graphs": ("bf16-mixed", {"cuda_graphs": True}),
    "fp32, else auto": ("32-true", {}),
    "fp32, graphs, else auto": ("32-true", {"cuda_graphs": True}),
}
ALL_STEPS = {"cpu": CPU_STEPS, "cuda": CUDA_STEPS, "graphs": GRAPH_STEPS}

Step = Callable[[Tensor, Tensor], dict[str, Tensor]]


class PackageStep:
    """The package's own `training_step`, with the minimum of Lightning."""

    def __init__(
        self,
        width: int,
        n_blocks: int,
        device: torch.device,
        precision: str,
        engine: Acceleration,
        n_channels: int = 1,
    ) -> None:
        self.module = module = CycleGAN(
            generator=lambda: ResnetGenerator(width, n_blocks, n_channels),
            discriminator=lambda: PatchDiscriminator(width, n_channels=n_channels),
            adversarial=AdversarialLoss(LSGANLoss()),
            loss_weights={
                "adversarial": 1.0,
                "cycle": 10.0,
                "identity": 5.0,
                "restoration": 0.0,
                "piece": 0.0,
            },
            optimizer=lambda parameters, fused=None: torch.optim.Adam(
                parameters, lr=2e-4, betas=(0.5, 0.999), fused=fused
            ),
            schedule=LinearDecay(1, 0),
            acceleration=engine,
        )
        strategy = SimpleNamespace(root_device=device, backward=lambda loss, *_: loss.backward())
        module.trainer = SimpleNamespace(strategy=strategy, precision=precision, world_size=1, global_rank=0)
        module.setup("fit")
        module.to(device)
        strategy._lightning_optimizers = module.trainer.optimizers = module.configure_optimizers()
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")

    def __call__(self, real_a: Tensor, real_b: Tensor) -> dict[str, Tensor]:
        with self.autocast:
            self.module.training_step({"real_a": real_a, "real_b": real_b}, 0)
        return self.module.losses


def make(name: str, model: tuple[int, int], device: torch.device, n_channels: int) -> Step:
    """Build the step called `name`, with the same weights each time."""
    torch.manual_seed(0)
    if name == "reference":
        return ReferenceStep(*model, device, n_channels)
    precision, engine = (CPU_STEPS | CUDA_STEPS | GRAPH_STEPS)[name]
    return PackageStep(*model, device, precision, Acceleration(**engine), n_channels)


def default_methods(kind: str) -> list[str]:
    """Return the methods of a kind of device, without what takes minutes to compile."""
    return [name for name in ALL_STEPS[kind] if "compiled" not in name]


def reals(size: tuple[int, int], batch: int, device: torch.device, n_channels: int = 1) -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    return [(torch.rand(batch, n_channels, *size, generator=draw) * 2 - 1).to(device) for _ in range(2)]


def seconds(step: Step, mels: list[Tensor], steps: int) -> float:
    """Measure one step: process time on a CPU; on a GPU the mean wall time of `steps` steps."""
    if mels[0].device.type != "cuda":
        start = time.process_time()
        step(*mels)
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step(*mels)
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def compare_steps(args: argparse.Namespace) -> None:
    device = torch.device(args.device)
    names = args.only or ["reference", *default_methods(args.steps_of or device.type)]
    mels = reals(args.size, 1, device, args.channels)
    tried = {name: warm(name, mels, args) for name in names}
    steps = {name: step for name, step in tried.items() if step is not None}
    rounds: list[dict[str, float]] = []
    end = time.monotonic() + args.max_seconds
    while len(rounds) < args.rounds and (not rounds or time.monotonic() < end):
        rounds.append({name: seconds(step, mels, args.steps) for name, step in steps.items()})
    network = f"{args.model}, {args.size[0]} x {args.size[1]} x {args.channels}"
    if args.csv:
        save_rounds(args.csv, network, rounds)
    print(f"\n{network}, n = {len(rounds)}\n")
    print("| method | s a step | steps a second | ratio to reference (lowest - highest) |\n|---|---|---|---|")
    for name in steps:
        ratios = sorted(r[name] / r["reference"] for r in rounds)
        middle = statistics.median(ratios)
        time_s = statistics.median(r[name] for r in rounds)
        spread = f"{ratios[0]:.3f} - {ratios[-1]:.3f}"
        print(f"| {name} | {time_s:.4f} | {1 / time_s:.1f} | {middle:.3f} ({spread}) |", flush=True)


def save_rounds(path: Path, network: str, rounds: list[dict[str, float]]) -> None:
    """Append the seconds of a step in each round to a table."""
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(("network", "method", "round", "seconds"))
        for number, seconds_of in enumerate(rounds):
            writer.writerows((network, name, number, f"{value:.6g}") for name, value in seconds_of.items())


def warm(name: str, mels: list[Tensor], args: argparse.Namespace) -> Step | None:
    """Warm up the step called `name`; print a line and return None if it does not run here."""
    try:
        step = make(name, MODELS[args.model], mels[0].device, args.channels)
        for _ in range(args.warm_up):
            step(*mels)
    except Exception as error:  # whatever a compiler or a graph says; the other methods are measured
        print(f"{name}: does not run here ({(str(error).splitlines() or [repr(error)])[0]})", flush=True)
        return None
    return step


def scale(args: argparse.Namespace) -> None:
    """Measure each row in a separate process, so that peak memory is its own."""
    width, n_blocks = MODELS[args.model]
    rows = [
        (176, 1, width),
        (88, 1, width),
        (344, 1, width),
        (688, 1, width),
        (176, 2, width),
        (176, 4, width),
    ]
    rows += [(176, 1, width // 2), (176, 1, 2 * width)]
    print(f"\n{args.model}, 128 bands, {n_blocks} blocks, median of {args.rounds}\n")
    print("| frames | batch | filters | method | s a step | peak memory in MiB |\n|---|---|---|---|---|---|")
    for frames, batch, filters in rows:
        for method in args.only or ("reference", "fp32", "auto"):
            command = [sys.executable, __file__, "one", "--device", args.device, "--only", method]
            command += ["--size", f"128x{frames}", "--rounds", str(args.rounds), "--steps", str(args.steps)]
            command += ["--row", f"{batch},{filters},{n_blocks}"]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"| {frames} | {batch} | {filters} | {method} | {out} |", flush=True)


def one(args: argparse.Namespace) -> None:
    """Measure one row of `scale`."""
    device = torch.device(args.device)
    batch, filters, n_blocks = map(int, args.row.split(","))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = make(args.only[0], (filters, n_blocks), device, 1)
    mels = reals(args.size, batch, device)
    for _ in range(args.warm_up):
        step(*mels)
    time_s = statistics.median(seconds(step, mels, args.steps) for _ in range(args.rounds))
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    print(f"{time_s:.3f} | {peak:.0f}")


JOBS = {"steps": compare_steps, "scale": scale, "one": one}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", choices=MODELS, default="small")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(128, 176))
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="in a round, on CUDA")
    parser.add_argument("--warm-up", type=int, default=None)
    parser.add_argument("--only", action="append", help="a method; more than one by repeating")
    parser.add_argument("--steps-of", choices=ALL_STEPS, help="whose methods; by default the device's")
    parser.add_argument("--max-seconds", type=float, default=float("inf"), help="no round starts after it")
    parser.add_argument("--csv", type=Path, help="a table to which each round's time is appended")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    args = make_parser().parse_args()
    if args.warm_up is None:
        args.warm_up = 8 if args.device == "cuda" else 1  # graphs are captured at the fourth step
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True  # as conf/trainer and the public code; no effect on a CPU
    JOBS[args.job](args)


if __name__ == "__main__":
    main()
