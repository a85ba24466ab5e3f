"""Compare the losses of all acceleration settings of a training step.

    python agreement.py losses  [--device cuda] [--model paper]   # of the first step, against float64
    python agreement.py course  [--corpus DIR] [--steps 90]       # means over many steps, of mels or noise

Prints Markdown.
"""

import argparse
import statistics
from itertools import islice

import torch
from measure import MODELS, Step, default_methods, make, reals
from reference import ReferenceStep
from torch import Tensor

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.data.datamodule import UnpairedMelDataModule

SIZE = (128, 176)


def reference_like(
    packaged: Step, args: argparse.Namespace, dtype: torch.dtype, rounding: float = 0.0
) -> ReferenceStep:
    """Build the reference in `dtype`, with the weights of `packaged` perturbed by the share `rounding`."""
    reference = ReferenceStep(*MODELS[args.model], torch.device(args.device))
    draws = torch.Generator().manual_seed(2)
    for name in ("gen_ab", "gen_ba", "disc_a", "disc_b"):  # the same order of weights in both
        target, source = getattr(reference, name).to(dtype), getattr(packaged.module, name)
        for parameter, value in zip(target.parameters(), source.parameters(), strict=True):
            noise = torch.randn(value.shape, generator=draws).to(value)
            parameter.data.copy_(value.data * (1 + rounding * noise))
    return reference


def losses(args: argparse.Namespace) -> None:
    """Compare the first step's losses of each method with the reference in float64."""
    device = torch.device(args.device)
    mels = reals(SIZE, 1, device)
    names = args.only or default_methods(device.type)
    exact = reference_like(make(names[0], MODELS[args.model], device, 1), args, torch.float64)
    exact_losses = exact(*(mel.double() for mel in mels))
    print("\n| method | largest relative error of a loss of step 1 |\n|---|---|")
    for name in names:
        step = make(name, MODELS[args.model], device, 1)
        got = step(*mels)
        errors = [abs(float(got[key]) / float(loss.detach()) - 1) for key, loss in exact_losses.items()]
        print(f"| {name} | {max(errors):.1e} |", flush=True)


def read_batches(corpus: str, n: int) -> list[list[Tensor]]:
    """Return batches of the first two genres of a corpus."""
    genres = Corpus.open(corpus).genres[:2]
    data = UnpairedMelDataModule(corpus, *genres, frame_multiple=4, crop_frames=SIZE[1])
    data.setup("fit")
    data.set_epoch(0)
    return [[b["real_a"], b["real_b"]] for b in islice(data.train_dataloader(), n)]


def draw_batches(n: int) -> list[list[Tensor]]:
    """Return batches of noise; that of genre B is darker."""
    draws = torch.Generator().manual_seed(3)
    noise = torch.rand(n, 2, 1, 1, *SIZE, generator=draws)
    return [[2 * a - 1, b - 1] for a, b in noise]


def course(args: argparse.Namespace) -> None:
    """Print mean losses over many steps, also of the reference and of a slightly perturbed reference."""
    device = torch.device(args.device)
    batches = read_batches(args.corpus, args.steps) if args.corpus else draw_batches(args.steps)
    names = args.only or default_methods(device.type)
    start = make(names[0], MODELS[args.model], device, 1)
    steps = {
        "reference": reference_like(start, args, torch.float32),
        "reference, off by 1e-7": reference_like(start, args, torch.float32, 1e-7),
    }
    steps |= {name: make(name, MODELS[args.model], device, 1) for name in names}
    music = args.corpus or "noise"
    print(f"\n{args.model}, {SIZE[0]} x {SIZE[1]}, {music}, means over {len(batches)} steps\n")
    columns: list[str] = []
    for method, step in steps.items():
        losses_of_steps = [
            {k: float(v.detach()) for k, v in step(*(x.to(device) for x in b)).items()} for b in batches
        ]
        if not columns:
            columns = sorted(losses_of_steps[0])
            print("| method | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
        means = {k: statistics.fmean(s[k] for s in losses_of_steps) for k in columns}
        print(f"| {method} | " + " | ".join(f"{means[k]:.4f}" for k in columns) + " |", flush=True)


JOBS = {"losses": losses, "course": course}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", choices=MODELS, default="small")
    parser.add_argument("--steps", type=int, default=90, help="of `course`")
    parser.add_argument("--corpus", help="of `course`")
    parser.add_argument("--only", action="append", help="a method; more than one by repeating")
    return parser


def main() -> None:
    args = make_parser().parse_args()
    torch.set_num_threads(1)
    JOBS[args.job](args)


if __name__ == "__main__":
    main()
