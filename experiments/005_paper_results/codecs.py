"""Measure the accuracy of the classifiers after lossy codecs and noise: python codecs.py CORPUS A B

CORPUS has the audio of its test clips.
"""

import argparse
import io

import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.functional import resample

from cyclegan_audio.corpus.corpus import Corpus
from cyclegan_audio.metrics.genre_classifier.augmentation import add_noise, low_pass
from cyclegan_audio.metrics.genre_classifier.classifier import (
    LOW_PASS_HZ,
    genre_classifier_for,
    linear_classifier_for,
)
from cyclegan_audio.statistics.proportions import balanced_accuracy

CODECS = {  # name: format, subtype, libsndfile's compression level
    "MP3, high quality": ("MP3", "MPEG_LAYER_III", 0.2),
    "MP3, low": ("MP3", "MPEG_LAYER_III", 0.9),
    "MP3, lowest": ("MP3", "MPEG_LAYER_III", 0.99),
    "Ogg Vorbis, lowest": ("OGG", "VORBIS", 1.0),
    "Opus, low": ("OGG", "OPUS", 0.85),
    "Opus, lowest": ("OGG", "OPUS", 0.97),
}
OPUS_RATE = 48000  # Opus does not support 44.1 kHz
NOISES_DB = (60.0, 50.0, 40.0, 30.0)  # below the loudest point of each clip


def coded(waveforms: Tensor, rate: int, name: str) -> tuple[Tensor, float]:
    """Encode and decode waveforms (N, T); return them and the bit rate in kbit/s."""
    kind, subtype, level = CODECS[name]
    mode = {"bitrate_mode": "CONSTANT"} if kind == "MP3" else {}
    codec_rate = OPUS_RATE if subtype == "OPUS" else rate
    out, n_bytes = [], 0
    for waveform in waveforms:
        buffer, encoded_input = io.BytesIO(), resample(waveform, rate, codec_rate).numpy()
        soundfile.write(
            buffer, encoded_input, codec_rate, format=kind, subtype=subtype, compression_level=level, **mode
        )
        n_bytes += buffer.tell()
        buffer.seek(0)
        read = torch.from_numpy(soundfile.read(buffer, dtype="float32")[0])
        decoded = resample(read, codec_rate, rate)[: len(waveform)]
        out.append(F.pad(decoded, (0, len(waveform) - len(decoded))))
    return torch.stack(out), n_bytes * 8 / 1000 / (waveforms.numel() / rate)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("genres", nargs=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = Corpus.open(options.corpus)
    genres = (options.genres[0], options.genres[1])
    clips = [clip for genre in genres for clip in corpus.clips(genre, "test")]
    labels, tracks = [genres.index(clip.genre) for clip in clips], [clip.track for clip in clips]
    waveforms, mel = torch.stack([corpus.audio(clip) for clip in clips]), corpus.mel
    plain_db = mel.mel_db(waveforms)
    cases = {
        "clean": plain_db,
        "low-passed at 6 kHz": low_pass(plain_db, mel.band_hz, LOW_PASS_HZ),
        **{f"noise at -{db:g} dB": add_noise(plain_db, db) for db in NOISES_DB},
    }
    for name in CODECS:
        decoded, kbit_s = coded(waveforms, mel.sample_rate, name)
        cases[f"{name} ({kbit_s:.0f} kbit/s)"] = mel.mel_db(decoded)
    classifiers = {
        "genre_classifier": genre_classifier_for(corpus, genres),
        "linear": linear_classifier_for(corpus, genres),
    }
    for classifier, of in classifiers.items():
        print(f"{classifier}: calibration error {of.reliability.error:.3f}, n = {of.reliability.n}")
    for name, mels_db in cases.items():
        for classifier, of in classifiers.items():
            correct = (of.probability(mels_db) > 0.5) == torch.tensor(labels).bool()
            value = balanced_accuracy(correct.tolist(), labels, tracks)
            print(
                f"{name}, {classifier}: {value.mean:.1%} ({value.low:.1%} to {value.high:.1%}), n = {value.n}"
            )


if __name__ == "__main__":
    main()
