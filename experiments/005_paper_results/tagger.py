"""Place altered clips between two genres by the independent tagger: python tagger.py CORPUS lofi rnb trap

CORPUS is a corpus of demo songs with paired clips and audio: the same scores played by each band.
"""

import argparse
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations

import numpy as np
import soundfile
import torch
from torch import Tensor

from cyclegan_audio.audio.mel import MelSpectrogram
from cyclegan_audio.audio.resampling import resample
from cyclegan_audio.audio.time_stretch import wsola
from cyclegan_audio.corpus.corpus import INT16_SCALE, Clip, Corpus
from cyclegan_audio.metrics.baselines import BandMoments, match_mean, match_moments
from cyclegan_audio.metrics.distances import KAD, distances_to, kernel_audio_distance
from cyclegan_audio.metrics.tagger import GenreAxis, load_tagger
from cyclegan_audio.metrics.tagger.tagger import to_level
from cyclegan_audio.statistics.estimates import Estimate, estimate
from cyclegan_audio.utils.devices import parallel_map
from cyclegan_audio.vocoders import VocoderInput, make_vocoder

SEED = 0
CUT_HZ = 4000.0
PIECE_S = 0.25
NEIGHBOURS = 5
UNTOUCHED = "source untouched"
AS_IT_IS = ""
OF_TARGET = (
    "white noise at -40 dB", "white noise at -20 dB", "pink noise at -40 dB", "pink noise at -20 dB",
    "low-passed at 4 kHz", "shuffled in quarter seconds", "backwards",
)  # fmt: skip


def with_noise(sound: Tensor, below_db: float, slope: float) -> Tensor:
    """Add noise `below_db` below the clip's RMS, with amplitudes of frequency to the power of -`slope`."""
    spectrum = torch.fft.rfft(torch.randn(len(sound), generator=torch.Generator().manual_seed(SEED)))
    bins = torch.arange(len(spectrum)).clamp_min(1)
    noise = torch.fft.irfft(spectrum / bins**slope, len(sound))
    return sound + noise * (sound.std() / noise.std() * 10 ** (-below_db / 20))


def quiet_in_16_bits(sound: Tensor, down_db: float) -> Tensor:
    """Attenuate and round to 16 bits, as in a fade."""
    return (sound * 10 ** (-down_db / 20) * INT16_SCALE).round() / INT16_SCALE


def low_passed(sound: Tensor, rate: int) -> Tensor:
    """Remove everything above 4 kHz."""
    spectrum = torch.fft.rfft(sound)
    spectrum[int(CUT_HZ * len(sound) / rate) :] = 0
    return torch.fft.irfft(spectrum, len(sound))


def shuffled(sound: Tensor, rate: int) -> Tensor:
    """Shuffle pieces of a quarter of a second."""
    pieces = sound[: len(sound) // int(PIECE_S * rate) * int(PIECE_S * rate)].view(-1, int(PIECE_S * rate))
    return pieces[torch.randperm(len(pieces), generator=torch.Generator().manual_seed(SEED))].flatten()


def mp3(sound: Tensor, rate: int) -> Tensor:
    """Encode and decode at 64 kbit/s."""
    buffer = io.BytesIO()
    mode = {"subtype": "MPEG_LAYER_III", "compression_level": 0.88, "bitrate_mode": "CONSTANT"}
    soundfile.write(buffer, sound.numpy(), rate, format="MP3", **mode)
    buffer.seek(0)
    return torch.from_numpy(soundfile.read(buffer, dtype="float32")[0])


def transposed(sound: Tensor, up: int) -> Tensor:
    """Transpose by `up` percent; the length stays."""
    return wsola(resample(sound, 100 + up, 100), len(sound))


def vocoded(
    name: str, sound: Tensor, *, mel: MelSpectrogram, target_db: Tensor | None, alone: bool
) -> Tensor:
    """Vocode the mel of a clip, or `target_db` in its place, from the clip or from the mel alone."""
    source_db = mel.mel_db(sound[None])
    target_db = source_db if target_db is None else target_db[None]
    source = {} if alone else {"source": sound[None], "source_db": source_db}
    return make_vocoder(name)(VocoderInput(target_db, mel, len(sound), **source))[0]


def alterations(mel: MelSpectrogram) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the ways to alter a clip by their names."""
    rate = mel.sample_rate
    noises = {"white": 0.0, "pink": 0.5}
    vocode = partial(vocoded, mel=mel, target_db=None)
    return {
        AS_IT_IS: lambda x: x,
        "12 dB quieter": lambda x: x * 10 ** (-12 / 20),
        "12 dB louder, clipped at full scale": lambda x: (x * 10 ** (12 / 20)).clamp(-1, 1),
        "60 dB quieter, in 16 bits": partial(quiet_in_16_bits, down_db=60),
        "80 dB quieter, in 16 bits": partial(quiet_in_16_bits, down_db=80),
        **{
            f"{colour} noise at -{db} dB": partial(with_noise, below_db=db, slope=slope)
            for colour, slope in noises.items()
            for db in (40, 20)
        },
        "low-passed at 4 kHz": partial(low_passed, rate=rate),
        "MP3 of 64 kbit/s": partial(mp3, rate=rate),
        "shuffled in quarter seconds": partial(shuffled, rate=rate),
        "backwards": lambda x: x.flip(0),
        "10 % slower": lambda x: wsola(x, round(1.1 * len(x))),
        "10 % faster": lambda x: wsola(x, round(0.9 * len(x))),
        "transposed up by 10 %": partial(transposed, up=10),
        "transposed down by 10 %": partial(transposed, up=-10),
        "hybrid vocoder": partial(vocode, "hybrid", alone=False),
        "hybrid vocoder, from the mel alone": partial(vocode, "hybrid", alone=True),
        "griffin_lim vocoder": partial(vocode, "griffin_lim", alone=True),
        "mask vocoder": partial(vocode, "mask", alone=False),
    }


def equalised(
    sound: Tensor, mel: MelSpectrogram, source: BandMoments, target: BandMoments, with_spread: bool
) -> Tensor:
    """Match the mean, or mean and spread, of each band to the target genre's, and vocode."""
    source_db = mel.mel_db(sound[None])
    if with_spread:
        target_db = match_moments(source_db, source, target)[0]
    else:
        target_db = match_mean(source_db[0], source.mean_db, target.mean_db)
    return vocoded("hybrid", sound, mel=mel, target_db=target_db, alone=False)


class Sounds:
    """The paired clips of three genres, altered and embedded."""

    def __init__(self, corpus: Corpus, genres: Sequence[str]) -> None:
        self.corpus, self.mel, self.genres = corpus, corpus.mel, genres
        scores = [{(c.score, c.start_s): c for c in corpus.clips(genre, "paired")} for genre in genres]
        keys = sorted(set(scores[0]).intersection(*scores[1:]))
        self.tracks = [str(score) for score, _ in keys]
        self.clips = {
            g: [corpus.audio(of[key]) for key in keys] for g, of in zip(genres, scores, strict=True)
        }
        self.training: dict[str, list[Clip]] = {g: corpus.clips(g, "train") for g in genres}
        self.embedded_training = {
            g: self.embed([corpus.audio(c) for c in clips]) for g, clips in self.training.items()
        }
        self.moments = {
            g: BandMoments.of(torch.stack([corpus.mel_db(c) for c in clips]))
            for g, clips in self.training.items()
        }
        self.altered = {
            (genre, name): self.embed(parallel_map(partial(alter, x) for x in self.clips[genre]))
            for genre in genres
            for name, alter in alterations(self.mel).items()
        }

    def embed(self, sounds: Sequence[Tensor]) -> Tensor:
        """Embed sounds (T,) as (N, 200)."""
        return load_tagger()(sounds, self.mel.sample_rate).embeddings

    def cases(self, source: str, target: str) -> dict[str, Tensor]:
        """Return embeddings in place of the translations from a genre to another."""
        (third,) = set(self.genres) - {source, target}
        levels = [[to_level(x, self.mel.sample_rate) for x in self.clips[g]] for g in (source, target)]
        mixes = [(a + b) / 2 for a, b in zip(*levels, strict=True)]
        moments = self.moments[source], self.moments[target]
        equalisers = {
            name: parallel_map(partial(equalised, x, self.mel, *moments, spread) for x in self.clips[source])
            for name, spread in (("mean", False), ("mean and spread", True))
        }
        return {
            UNTOUCHED: self.altered[source, AS_IT_IS],
            "mix of both versions": self.embed(mixes),
            "target version": self.altered[target, AS_IT_IS],
            **{f"target version, {name}": self.altered[target, name] for name in OF_TARGET},
            "version of the third genre": self.altered[third, AS_IT_IS],
            **{
                f"source, {name}": values
                for (genre, name), values in self.altered.items()
                if genre == source and name
            },
            **{f"source, equaliser ({name} of bands)": self.embed(x) for name, x in equalisers.items()},
        }


def neighbour_accuracy(embedded: Mapping[str, Tensor], clips: Mapping[str, Sequence[Clip]]) -> float:
    """Return the share of clips whose genre most of their 5 nearest clips of other songs have."""
    embeddings = torch.cat(list(embedded.values()))
    labels = torch.tensor([n for n, of in enumerate(clips.values()) for _ in of])
    tracks = np.array([clip.track for of in clips.values() for clip in of])
    distances = torch.cdist(embeddings, embeddings)
    distances[torch.from_numpy(tracks[:, None] == tracks)] = torch.inf
    nearest = distances.topk(NEIGHBOURS, largest=False).indices
    return float((labels[nearest].mode(1).values == labels).float().mean())


def table(title: str, columns: Mapping[str, Mapping[str, Estimate]], digits: int) -> None:
    """Print estimates as Markdown: a column for each direction."""
    print(f"\n{title}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in next(iter(columns.values())):
        cells = [of[name] for of in columns.values()]
        print(
            f"| {name} | {' | '.join(f'{c.mean:.{digits}f} ±{c.high - c.mean:.{digits}f}' for c in cells)} |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=3)
    options = parser.parse_args()
    sounds = Sounds(Corpus.open(options.corpus), options.genres)
    positions: dict[str, dict[str, Estimate]] = {}
    distances: dict[str, dict[str, Estimate]] = {}
    for source, target in permutations(options.genres, 2):
        name, cases = f"{source} to {target}", sounds.cases(source, target)
        axis = GenreAxis.between(*(sounds.embedded_training[genre] for genre in (source, target)))
        positions[name] = {
            case: estimate(axis.position(values).tolist(), sounds.tracks) for case, values in cases.items()
        }
        real = [clip.track for clip in sounds.training[target]]
        of_kind = distances_to(
            sounds.embedded_training[target], real, cases, sounds.tracks, {KAD: kernel_audio_distance}
        )
        distances[name] = of_kind[KAD]
    print(f"{len(sounds.tracks)} clips of {len(set(sounds.tracks))} scores")
    n_clips = {genre: len(clips) for genre, clips in sounds.training.items()}
    accuracy = neighbour_accuracy(sounds.embedded_training, sounds.training)
    print(f"training clips: {n_clips}, genre by nearest neighbours right in {accuracy:.1%}")
    table("Position between the genres", positions, 2)
    table("Kernel audio distance to real clips of the target", distances, 1)
    for name, of in positions.items():
        sds = ", ".join(f"{case} {of[case].sd:.2f}" for case in (UNTOUCHED, "target version"))
        print(f"{name}, standard deviation of single clips: {sds}")


if __name__ == "__main__":
    main()
