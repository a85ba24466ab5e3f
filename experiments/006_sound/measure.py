"""Measure vocoders: from audio to mel and back, or from the mel of another piece with the song as source.

python experiments/006_sound/measure.py SONGS ... --mel hifi --vocoders griffin_lim hybrid --out FOLDER
python experiments/006_sound/measure.py SONGS --targets SCORES --mel hifi --vocoders hybrid mask --out FOLDER

Without --targets a vocoder gets the mel alone. With it, it gets the mel of the file of the same name below
that folder, and the song as source: the target's audio is the truth. One row per vocoder, medians over clips.
"""

import argparse
import csv
import time
from pathlib import Path
from statistics import median

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from cyclegan_audio.audio.io import decode, find_audio, save
from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.musical_features import onset_strength
from cyclegan_audio.config import CONF_DIR
from cyclegan_audio.metrics.artefacts import clicks_per_s
from cyclegan_audio.metrics.rhythm import TOLERANCE_S, detect_onsets, f1_score
from cyclegan_audio.vocoders import Vocoder, make_vocoder
from cyclegan_audio.vocoders.mel_inversion import mel_to_bins

COLUMNS = (
    "mel distance dB", "within 60 dB of the top", "spectral error", "onset F1", "clicks added /s",
    "isolated peaks", "x real time, one core",
)  # fmt: skip
AUDIBLE_DB = 60.0
LESS_DB = 6.0  # how much less than the source has is a removal
FFT_SIZES = (512, 1024, 2048, 4096)


def spectral_error(estimate: Tensor, truth: Tensor) -> float:
    """Compute the mean over FFT sizes of ||S - S'|| / ||S|| of magnitudes (Yamamoto et al. 2020, eq. 4)."""
    errors = []
    for n_fft in FFT_SIZES:
        window = torch.hann_window(n_fft)
        a, b = (
            torch.stft(x, n_fft, n_fft // 4, window=window, return_complex=True).abs()
            for x in (truth, estimate)
        )
        errors.append(float((a - b).norm() / a.norm().clamp_min(1e-9)))
    return sum(errors) / len(errors)


def isolated_peaks(estimate: Tensor, truth: Tensor, source: Tensor | None, mel: MelSpectrogram) -> float:
    """Compute how peaked the spectrum is where the target is below the source, relative to the truth.

    Ratio of kurtosis of the power (Uemura et al. 2008), each bin beside the mel around it; subtraction that
    leaves musical noise has more than 1.
    """
    target_db = mel.mel_db(truth[None])
    less = torch.ones_like(target_db) if source is None else target_db - mel.mel_db(source[None])
    audible = target_db > target_db.max() - AUDIBLE_DB
    chosen = mel_to_bins(torch.where(audible, less, 0.0), mel) < -LESS_DB
    if not chosen.any():
        return float("nan")

    def kurtosis(waveform: Tensor) -> float:
        level = mel_to_bins(mel.db_to_mel(mel.mel_db(waveform[None])), mel).square()
        power = (mel.stft(waveform[None]).abs().square() / level.clamp_min(mel.floor**2))[chosen].double()
        return float(power.square().mean() / power.mean().square())

    return kurtosis(estimate) / kurtosis(truth)


def measures(
    estimate: Tensor, truth: Tensor, source: Tensor | None, mel: MelSpectrogram, cpu_s: float
) -> tuple[float, ...]:
    """Compute the numbers of COLUMNS for one clip (T,)."""
    estimate_db, truth_db = mel.mel_db(estimate[None]), mel.mel_db(truth[None])
    onsets, true_onsets = (
        detect_onsets(onset_strength(db, mel), mel.frame_s)[0] for db in (estimate_db, truth_db)
    )
    clicks = [float(clicks_per_s(x[None], mel.sample_rate)) for x in (estimate, truth)]
    distance = (estimate_db - truth_db).abs()
    return (
        float(distance.mean()),
        float(distance[truth_db > truth_db.max() - AUDIBLE_DB].mean()),
        spectral_error(estimate, truth),
        f1_score(onsets, true_onsets, TOLERANCE_S),
        clicks[0] - clicks[1],
        isolated_peaks(estimate, truth, source, mel),
        len(estimate) / mel.sample_rate / cpu_s,
    )


def clips(path: Path, mel: MelSpectrogram, seconds: float, count: int) -> list[Tensor]:
    """Cut `count` clips (T,) of whole frames, spread evenly over the song, mono."""
    song = decode(path, sample_rate=mel.sample_rate, mono=True)[0][0]
    length = int(seconds * mel.sample_rate) // mel.hop_length * mel.hop_length
    if len(song) < length:
        return []
    starts = torch.linspace(0, len(song) - length, count + 2)[1:-1].long()
    return [song[start : start + length] for start in starts.tolist()]


def pairs(options: argparse.Namespace, mel: MelSpectrogram) -> list[tuple[Path, Tensor | None, Tensor]]:
    """Return (file, source or None, truth) of every clip."""
    examples: list[tuple[Path, Tensor | None, Tensor]] = []
    files = [path for name in options.songs for path in ([name] if name.is_file() else find_audio(name))]
    for path in files[: options.files]:
        clips_of_file = clips(path, mel, options.seconds, options.clips)
        if options.targets is None:
            examples += [(path, None, truth) for truth in clips_of_file]
        else:
            truths = clips(options.targets / path.name, mel, options.seconds, options.clips)
            examples += [(path, source, truth) for source, truth in zip(clips_of_file, truths, strict=True)]
    return examples


def run(vocoder: Vocoder, source: Tensor | None, truth: Tensor, mel: MelSpectrogram) -> tuple[Tensor, float]:
    """Vocode the truth's mel; return the audio and the CPU seconds."""
    target_db = mel.mel_db(truth[None])
    source_db = None if source is None else mel.mel_db(source[None])
    start = time.process_time()
    estimate = vocoder(target_db, mel, len(truth), None if source is None else source[None], source_db)[0]
    return estimate, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--targets", type=Path)
    parser.add_argument("--mel", nargs="+", default=["hifi", "paper"])
    parser.add_argument("--vocoders", nargs="+", required=True, help="NAME or NAME:KEY=VALUE,KEY=VALUE")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(
        "| mel | vocoder | " + " | ".join(COLUMNS) + " | clips |\n|" + "---|" * (len(COLUMNS) + 3), flush=True
    )
    with open(options.out / "rows.csv", "w", newline="") as file, torch.inference_mode():
        table = csv.writer(file)
        table.writerow(["mel", "vocoder", "file", *COLUMNS])
        for preset in options.mel:
            mel = instantiate(OmegaConf.load(CONF_DIR / "mel" / f"{preset}.yaml"))
            trials = pairs(options, mel)
            for spec in options.vocoders:
                rows = []
                for number, (path, source, truth) in enumerate(trials):
                    estimate, cpu_s = run(vocoder_of(spec), source, truth, mel)
                    rows.append(measures(estimate, truth, source, mel, cpu_s))
                    table.writerow([preset, spec, path.name, *rows[-1]])
                    if number < 2:
                        save(
                            options.out / f"{preset}_{spec.split(':')[0]}_{path.stem}.wav",
                            estimate,
                            mel.sample_rate,
                        )
                middle = (f"{median(column):.2f}" for column in zip(*rows, strict=True))
                print(f"| {preset} | {spec} | " + " | ".join(middle) + f" | {len(rows)} |", flush=True)


def vocoder_of(spec: str) -> Vocoder:
    """Build a vocoder from `hybrid` or `hybrid:rounds=4,seed=1`."""
    name, _, numbers = spec.partition(":")
    values = dict(part.split("=") for part in numbers.split(",") if part)
    return make_vocoder(
        name, **OmegaConf.create({key: OmegaConf.create(f"v: {value}").v for key, value in values.items()})
    )


if __name__ == "__main__":
    main()
