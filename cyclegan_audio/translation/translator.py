"""Any music from one genre to another: mel, generator, vocoder, and the channels put together again."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan_audio.audio.io import decode
from cyclegan_audio.audio.resampling import Resampler
from cyclegan_audio.corpus.normalisation import CorpusNormalisation
from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.inference.clip_translation import generator_precision
from cyclegan_audio.inference.cycle_spinning import with_cycle_spinning
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.networks.norm import collect_statistics
from cyclegan_audio.translation.analysis_pass import (
    Blocks,
    ChannelAnalysis,
    MidAnalysis,
    PieceStatistics,
    check_finite,
)
from cyclegan_audio.translation.file_translation import Levelled, Progress, translate_file
from cyclegan_audio.translation.loudness_matching import MAX_PEAK, LoudnessMatcher, Store
from cyclegan_audio.translation.mid_side import as_channels, from_mid_and_sides, mid_and_sides
from cyclegan_audio.translation.pipeline import Pipeline
from cyclegan_audio.translation.stages import in_groups
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.utils.devices import choose_device, has_fast_bf16, n_workers, single_threaded
from cyclegan_audio.utils.errors import UserError, check_number
from cyclegan_audio.vocoders import DEFAULT, Vocoder, make_vocoder

BLOCK = 1 << 16  # samples handed on at once
CHUNK_FRAMES = 384  # whose sound is made at once, in the cache
GROUP_WINDOWS = 2  # of the generator, for each of several workers
Waveform = TypeVar("Waveform", Tensor, np.ndarray)


class Translator:
    """Translates music of any length, sample rate and channel count by a trained pair, at bounded memory.

    Passes: the first finds loudness, polarity, levels and the instance-norm statistics of the whole piece, so
    that no window is normalised otherwise than its neighbours (a short piece is one window, which needs no
    others'); the second translates; the last brings the result to the loudness of the input.

    Time: the mel is cut into overlapping windows; what the generator changes in each is cross-faded, so a
    generator that changes nothing leaves the mel exactly as it was. Frames of digital silence stay as they
    are, and samples further than an STFT window from any sound stay 0.

    Channels: the mean of all channels (mid) is translated and re-made by the vocoder. What each channel has
    beside the mid (its side) is filtered by the gain target mel / source mel on its own STFT, at most 12 dB
    up, and added: one decision for all channels. Instruments keep their place, what is new stands in the
    middle, and the mean of the result is the new mid. A channel that would cancel the loudest in the mid is
    turned round before and after.

    Rate: the work is done at the mel's sample rate; content above half of it is lost. The result has the rate
    and the length of the input.

    Level: the result is brought to the loudness (BS.1770) of the input, up by 20 dB at most; peaks that then
    exceed 0.99 are limited, all channels alike, and what that takes from the loudness is made up for.
    """

    def __init__(
        self, pair: TranslationModel, vocoder: str | Vocoder = DEFAULT, device: str | torch.device = "cpu"
    ) -> None:
        self.pair = pair
        self.mel = pair.mel
        self.normalisation = CorpusNormalisation.from_dict(pair.normalisation)
        self.device = torch.device(device)
        self.vocoder: Vocoder = make_vocoder(vocoder) if isinstance(vocoder, str) else vocoder
        self.vocoder.check(self.mel)
        self.window = math.ceil(pair.window_frames / pair.frame_multiple) * pair.frame_multiple
        self.bf16 = has_fast_bf16(self.device)

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        checkpoint: str | Path | None = None,
        vocoder: str | Vocoder = DEFAULT,
        device: str = "auto",
        shifts: int = 1,
    ) -> "Translator":
        """The translator of a RUN: a run folder, a checkpoint, or `demo`, which ships with the package.

        Its generators are averaged over `shifts` shifts of the music (`models.cycle_spinning`).

        Raises:
            UserError: no such run, vocoder or device, a damaged checkpoint, or more shifts than make sense.
        """
        chosen = choose_device(device)
        made = make_vocoder(vocoder) if isinstance(vocoder, str) else vocoder
        return cls(with_cycle_spinning(load_model(run, chosen, checkpoint), shifts), made, chosen)

    def __repr__(self) -> str:
        """Genres, directions, mel, vocoder and device, in one line."""
        target = self.targets[0]
        source = next(genre for genre in self.genres if genre != target)
        arrow = "<->" if len(self.targets) == 2 else "->"
        mel = f"mel={self.mel.name!r}, sample_rate={self.mel.sample_rate}"
        vocoder = f"vocoder={type(self.vocoder).__name__}, device={str(self.device)!r}"
        return f"Translator({source} {arrow} {target}, {mel}, {vocoder})"

    @property
    def genres(self) -> tuple[str, str]:
        """The two genres of the pair."""
        return self.pair.genres

    @property
    def targets(self) -> tuple[str, ...]:
        """The genres that it translates to: both, or one."""
        return tuple(self.pair.targets)

    @overload
    def __call__(
        self,
        waveform: Waveform,
        sample_rate: int,
        to: str,
        on_progress: Progress | None = None,
        *,
        amount: float = 1.0,
    ) -> Waveform: ...

    @overload
    def __call__(
        self,
        waveform: str | Path,
        sample_rate: None = None,
        *,
        to: str,
        on_progress: Progress | None = None,
        amount: float = 1.0,
    ) -> tuple[np.ndarray, int]: ...

    def __call__(
        self,
        waveform: Tensor | np.ndarray | str | Path,
        sample_rate: int | None = None,
        to: str = "",
        on_progress: Progress | None = None,
        *,
        amount: float = 1.0,
    ) -> Tensor | np.ndarray | tuple[np.ndarray, int]:
        """Translate a waveform (C, T) or (T,), or a file, to genre `to`, in memory.

        Args:
            waveform: a torch tensor or a numpy array of floats, full scale at 1 (what soundfile reads is
                (T, C): transpose it); or the path of an audio file.
            sample_rate: of the input and of the result, in Hz; left out for a file, which has its own.
            to: one of the pair's genres; the other one is taken to be the input's.
            on_progress: called with the share of the work that is done.
            amount: share of the change in dB, from 0 (the source's mel) to 1.

        Returns:
            The translation, float32, of the input's shape, kind (tensor or array) and device; of a file an
            array (C, T) and its sample rate.

        Raises:
            UserError: unknown genre, an amount out of range, another shape, no sample rate, a file that
                cannot be read, samples that are whole numbers, or samples that are not finite.
        """
        if not to:
            raise UserError(f"no genre is named; give to=, one of {', '.join(self.targets)}")
        if isinstance(waveform, str | Path):
            decoded, rate = decode(waveform)
            return self(decoded.numpy(), rate, to, on_progress, amount=amount), rate
        if sample_rate is None:
            raise UserError("a waveform does not tell its sample rate; give sample_rate in Hz")
        blocks = as_channels(waveform, sample_rate).split(BLOCK, -1)
        levelled = self.translate(lambda: blocks, sample_rate, to, [], on_progress, amount=amount)
        made = torch.cat(list(levelled(MAX_PEAK)), -1).reshape(waveform.shape)
        return made.to(waveform.device) if isinstance(waveform, Tensor) else made.numpy()

    def translate_file(
        self,
        source: str | Path,
        target: str | Path,
        to: str,
        *,
        amount: float = 1.0,
        on_progress: Progress | None = None,
        overwrite: bool = False,
    ) -> float:
        """Translate an audio file of any length at bounded memory; the target appears whole or not at all.

        Tags and cover of the source are kept where the format of the target can hold them.

        Args:
            source: of any format that FFmpeg reads.
            target: .wav, .flac, .mp3, .ogg or .m4a; its folder is made.
            to: one of the pair's genres; the other one is taken to be the source's.
            amount: share of the change in dB, from 0 (the source's mel) to 1.
            on_progress: called with the share of the work that is done.
            overwrite: replace a target that is there already.

        Returns:
            The seconds of music.

        Raises:
            UserError: unknown genre, the source cannot be read, the target is there already, cannot be
                written or cannot hold such music, or the samples or the model's output are not finite.
        """
        return translate_file(
            self.translate, source, target, to, amount=amount, on_progress=on_progress, overwrite=overwrite
        )

    def translate(
        self,
        blocks: Blocks,
        sample_rate: int,
        to: str,
        store: Store,
        on_progress: Progress | None = None,
        *,
        amount: float = 1.0,
    ) -> Levelled:
        """The translation of a piece but for its last pass; see `__call__`.

        Args:
            blocks: gives the piece's blocks (C, n), as often as it is called.
            sample_rate: of blocks and result, in Hz.
            to: the genre wanted.
            store: keeps the result until its loudness is known.
            on_progress: called with the share of the work that is done.
            amount: share of the change in dB.

        Returns:
            From the highest peak allowed to the result's blocks, as often as it is called.

        Raises:
            UserError: see `__call__`.
        """
        check_number("amount", amount, 0, 1)
        self.pair.generator(to)
        workers = n_workers(self.device)
        with single_threaded():
            survey = self.analyse(blocks, sample_rate, to, workers)
            if not survey.is_silent:
                result = LoudnessMatcher(store, sample_rate)
                for made in self.stream(blocks(), sample_rate, to, survey, amount=amount, workers=workers):
                    result.append(made)
                    if on_progress:
                        on_progress(result.n_samples / survey.n_samples)
                return partial(result.normalised_to, survey.lufs)
        return lambda max_peak: iter(blocks())

    @torch.no_grad()
    def analyse(self, blocks: Blocks, sample_rate: int, to: str, workers: int = 1) -> PieceStatistics:
        """What must be known of a whole piece: one pass, or two where a channel is turned round.

        Raises:
            UserError: samples that are not finite, or none at all.
        """
        channels, mid = ChannelAnalysis(sample_rate), self._mid_survey(sample_rate)
        for block in check_finite(blocks(), sample_rate):
            channels.push(block)
            mid.push(block.mean(0))
        survey = channels.finish()
        if survey.is_silent:
            return survey
        if (survey.signs < 0).any():
            mid = self._mid_survey(sample_rate)
            for block in blocks():
                mid.push((block * survey.signs).mean(0))
        survey = mid.finish(survey)
        if survey.is_short or not mid.windows.found:
            return survey
        change = self.windowed_generator(to, survey)
        inputs = [change.scaled(window[None, None]) for window in mid.windows.found]
        with generator_precision(change.generator, self.bf16):
            return replace(survey, statistics=collect_statistics(change.generator, inputs, workers) or None)

    def _mid_survey(self, sample_rate: int) -> MidAnalysis:
        return MidAnalysis(sample_rate, self.mel, self.normalisation, self.window, self.device)

    @torch.no_grad()
    def stream(
        self,
        blocks: Iterable[Tensor],
        sample_rate: int,
        to: str,
        survey: PieceStatistics,
        *,
        amount: float = 1.0,
        chunk_frames: int = CHUNK_FRAMES,
        resampled_s: float | None = None,
        workers: int = 1,
    ) -> Iterator[Tensor]:
        """The translation of blocks (C, n) before its level is set: blocks (C, m).

        The sound of `chunk_frames` is made, and `resampled_s` seconds are resampled, at once.
        """
        change = self.windowed_generator(to, survey, amount)
        passage = Pipeline(change, self.vocoder, chunk_frames, self.device, workers)
        if workers > 1:
            window_s = change.length * self.mel.frame_s
            blocks = in_groups(blocks, round(GROUP_WINDOWS * workers * window_s * sample_rate))
        there = Resampler(sample_rate, self.mel.sample_rate, resampled_s)
        back = Resampler(self.mel.sample_rate, sample_rate, resampled_s)
        taken = given = 0
        for block in check_finite(blocks, sample_rate):
            taken += block.shape[1]
            made = back.push(passage.push(there.push(mid_and_sides(block * survey.signs))))
            given += made.shape[1]
            yield from_mid_and_sides(made) * survey.signs
        left = there.finish()
        made = back.push(passage.finish(left, len(survey.signs)))
        rest = [made, *([] if (last := back.finish()) is None else [last])]
        parts = torch.cat(rest, 1)[:, : taken - given]
        missing = taken - given - parts.shape[1]  # odd rates are taken as the nearest ratio
        yield from_mid_and_sides(F.pad(parts, (0, missing))) * survey.signs

    @torch.no_grad()
    def translate_mel(self, mel_db: Tensor, to: str) -> Tensor:
        """Translate a mel (M, F) in dB to genre `to`, each window by its own statistics.

        With `scaling: clip` the lowest and highest value of the whole piece, digital silence left out, become
        -1 and 1.

        Raises:
            UserError: unknown genre.
        """
        sounding = (mel_db > self.floor_db + 1e-3).any(0)
        self.pair.generator(to)
        if not sounding.any():
            return mel_db.clone()
        survey = PieceStatistics(
            0,
            0.0,
            False,
            torch.ones(1, 1),
            self.mel.range_db(self.normalisation.apply(mel_db[:, sounding], self.mel)),
        )
        change = self.windowed_generator(to, survey)
        return change.apply(mel_db, change.stream().push(mel_db.to(self.device), last=True).to(mel_db))

    def windowed_generator(self, to: str, survey: PieceStatistics, amount: float = 1.0) -> WindowedGenerator:
        """What the generator toward `to` changes in the mel of a piece."""
        return WindowedGenerator(
            self.pair.generator(to), self.mel, self.window, survey, amount, self.bf16, self.normalisation
        )

    @property
    def floor_db(self) -> float:
        """What digital silence is in the mel."""
        return self.mel.floor_db
