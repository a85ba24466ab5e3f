"""Translate audio of any length from Python: load a model, translate arrays, tensors, files and streams."""

import math
from collections.abc import Collection, Iterable, Iterator
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
from cyclegan_audio.translation.amounts import AmountLike, as_amount
from cyclegan_audio.translation.analysis_pass import Blocks, ChannelAnalysis, MidAnalysis, PieceStatistics
from cyclegan_audio.translation.continuation import continue_blocks, cut_continuations
from cyclegan_audio.translation.file_translation import NoteHandler, Progress, Renderer, translate_file
from cyclegan_audio.translation.input_levels import check_samples
from cyclegan_audio.translation.levelling import OMITTED_DB, Leveller
from cyclegan_audio.translation.loudness_matching import MAX_PEAK, BlockStore, LoudnessMatcher
from cyclegan_audio.translation.mid_side import as_channels, from_mid_and_sides, mid_and_sides
from cyclegan_audio.translation.pipeline import Pipeline
from cyclegan_audio.translation.stages import group_blocks, n_edge_frames
from cyclegan_audio.translation.windowed_generator import WindowedGenerator
from cyclegan_audio.utils.devices import choose_device, has_fast_bf16, n_workers, single_threaded
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.vocoders import DEFAULT, Vocoder, make_vocoder

BLOCK = 1 << 16  # samples
CHUNK_FRAMES = 384  # frames that the vocoder synthesises at once; they fit the CPU's cache
GROUP_WINDOWS = 2  # windows that each of several workers gets at once
Waveform = TypeVar("Waveform", Tensor, np.ndarray)


class Translator:
    """Translate music of any length, sample rate and channel count by a trained model, at bounded memory.

    Passes: the first measures loudness, polarity, levels and the instance-norm statistics of the whole piece,
    so that all windows are normalised alike (a short piece is one window); the second translates; the last
    matches the loudness of the input. A piece with an inverted channel or a quiet passage is analysed twice.

    Dynamics: a passage of 3 s or longer that is at least 12 dB below the level of the piece is lifted to that
    level before the mel, and the result is divided by the same gain (`levelling`). The generator hears no
    music quieter than in training, and the course of levels stays that of the source. Smaller falls are
    lifted less, those up to 6 dB not at all. What is lifted by more than 45 dB may be hiss, and is no part of
    the statistics.

    Time: the mel is split into overlapping windows and the generator's changes are cross-faded, so a
    generator that changes nothing leaves the mel exactly as it was. Frames of digital silence do not change,
    and samples further than an STFT window from any sound stay 0.

    Ends: a piece is continued by linear prediction before the first and after the last sample, so that its
    first and last frames are whole; the continuations are cut off again.

    Channels: the vocoder synthesises the translated mean of all channels (mid). The difference of each
    channel from the mid (its side) is filtered by the gain target mel / source mel on its own STFT, by at
    most +12 dB, and added. Instruments keep their position, new sounds are in the centre, and the mean of the
    result is the new mid. A channel that would cancel the loudest one in the mid is inverted before and
    after.

    DC: if the mean of a channel is more than 0.01 of full scale, a high-pass at 5 Hz subtracts it first.

    Rate: the mel's sample rate limits the bandwidth to half of it. The result has the rate and the length of
    the input.

    Levels: a piece whose peak exceeds 4 (12 dB above full scale) is corrected first (`input_levels`): a peak
    20 dB above the typical one is a click, and is limited; a piece that is so loud throughout is scaled to
    full scale. Samples above 1e6 are refused.

    Loudness: the result gets the loudness (BS.1770) of the input, by at most +20 dB. Peaks above 0.99 are
    then limited in all channels, and make-up gain replaces the loudness that this takes.

    Attributes:
        model: the trained model.
        mel: the definition of its mel.
        normalisation: normalisation of its training corpus.
        device: device of its generators.
        vocoder: synthesises the mid.
        window: frames of a training window, rounded up to the generator's `frame_multiple`.
        bf16: whether generators run under bf16 autocast.
    """

    def __init__(
        self, model: TranslationModel, vocoder: str | Vocoder = DEFAULT, device: str | torch.device = "cpu"
    ) -> None:
        self.model = model
        self.mel = model.mel
        self.normalisation = CorpusNormalisation.from_dict(model.normalisation)
        self.device = torch.device(device)
        self.vocoder: Vocoder = make_vocoder(vocoder) if isinstance(vocoder, str) else vocoder
        self.vocoder.check(self.mel)
        self.window = math.ceil(model.window_frames / model.frame_multiple) * model.frame_multiple
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
        trust_packages: Collection[str] = (),
    ) -> "Translator":
        """Load the translator of a run.

        Args:
            run: run folder, checkpoint, or name of a pretrained model (`list_pretrained`).
            checkpoint: file to use in place of the best (else last) checkpoint of the run.
            vocoder: name in `conf/vocoder`, or a vocoder.
            device: `auto`, `cpu`, `cuda` or `mps`.
            shifts: number of shifts over which the generators are averaged (`inference.cycle_spinning`).
            trust_packages: installed packages whose generators may be built, in addition to those of `conf/`.

        Raises:
            UserError: no such run, vocoder or device, a damaged checkpoint, or too many shifts.
        """
        torch_device = choose_device(device)
        vocoder = make_vocoder(vocoder) if isinstance(vocoder, str) else vocoder
        model = load_model(run, torch_device, checkpoint, trust_packages=trust_packages)
        return cls(with_cycle_spinning(model, shifts), vocoder, torch_device)

    def __repr__(self) -> str:
        """Return genres, directions, mel, vocoder and device in one line."""
        target = self.targets[0]
        source = next(genre for genre in self.genres if genre != target)
        arrow = "<->" if len(self.targets) == 2 else "->"
        mel = f"mel={self.mel.name!r}, sample_rate={self.mel.sample_rate}"
        vocoder = f"vocoder={type(self.vocoder).__name__}, device={str(self.device)!r}"
        return f"Translator({source} {arrow} {target}, {mel}, {vocoder})"

    @property
    def genres(self) -> tuple[str, str]:
        """The two genres of the model."""
        return self.model.genres

    @property
    def targets(self) -> tuple[str, ...]:
        """The genres to which the model translates: both, or one."""
        return tuple(self.model.targets)

    @overload
    def __call__(
        self,
        waveform: Waveform,
        sample_rate: int,
        to: str,
        on_progress: Progress | None = None,
        *,
        amount: AmountLike = 1.0,
    ) -> Waveform: ...

    @overload
    def __call__(
        self,
        waveform: str | Path,
        sample_rate: None = None,
        *,
        to: str,
        on_progress: Progress | None = None,
        amount: AmountLike = 1.0,
    ) -> tuple[np.ndarray, int]: ...

    def __call__(
        self,
        waveform: Tensor | np.ndarray | str | Path,
        sample_rate: int | None = None,
        to: str = "",
        on_progress: Progress | None = None,
        *,
        amount: AmountLike = 1.0,
    ) -> Tensor | np.ndarray | tuple[np.ndarray, int]:
        """Translate a waveform (C, T) or (T,), or a file, to genre `to`, in memory.

        Args:
            waveform: a torch tensor or a numpy array of floats, full scale at 1 (soundfile reads (T, C):
                transpose it); or the path of an audio file.
            sample_rate: sample rate of the input and the result, in Hz; omit it for a file.
            to: the genre to translate to; the input is assumed to be of the model's other genre.
            on_progress: called with the share of the work that is done.
            amount: share of the change in dB, from 0 (the source's mel) to 1, or one for drums and one
                for the rest: `drums=1,rest=0.3`.

        Returns:
            The translation, float32, with the input's shape, type (tensor or array) and device; for a file an
            array (C, T) and its sample rate.

        Raises:
            UserError: unknown genre, amount out of range, wrong shape, no sample rate, a file that cannot be
                read, or samples that are integers, not finite or above 1e6.
        """
        if not to:
            raise UserError(f"no genre is given; give to=, one of {', '.join(self.targets)}")
        if isinstance(waveform, str | Path):
            decoded, rate = decode(waveform)
            (decoded,) = check_samples([decoded], rate, str(waveform))
            return self(decoded.numpy(), rate, to, on_progress, amount=amount), rate
        if sample_rate is None:
            raise UserError("the sample rate of the waveform is unknown; give sample_rate in Hz")
        blocks = as_channels(waveform, sample_rate).split(BLOCK, -1)
        render = self.translate(lambda: blocks, sample_rate, to, [], on_progress, amount=amount)
        translated = torch.cat(list(render(MAX_PEAK)), -1).reshape(waveform.shape)
        return translated.to(waveform.device) if isinstance(waveform, Tensor) else translated.numpy()

    def translate_file(
        self,
        source: str | Path,
        target: str | Path,
        to: str,
        *,
        amount: AmountLike = 1.0,
        on_progress: Progress | None = None,
        on_note: NoteHandler | None = None,
        overwrite: bool = False,
    ) -> float:
        """Translate an audio file of any length at bounded memory; the target appears complete or not at all.

        Tags and cover of the source are kept if the format of the target can hold them.

        Args:
            source: audio file of any format that FFmpeg reads.
            target: .wav, .flac, .mp3, .ogg or .m4a; its folder is created.
            to: the genre to translate to; the source is assumed to be of the model's other genre.
            amount: share of the change in dB, from 0 (the source's mel) to 1, or one for drums and one
                for the rest: `drums=1,rest=0.3`.
            on_progress: called with the share of the work that is done.
            on_note: called with each of `PieceStatistics.notes`.
            overwrite: whether to replace an existing target.

        Returns:
            The duration in seconds.

        Raises:
            UserError: unknown genre, the source cannot be read, the target exists or cannot be written, its
                format does not support the rate or channels, samples are not finite or above 1e6, or the
                model's output is not finite.
        """
        translate = partial(self.translate, amount=amount, on_note=on_note)
        return translate_file(translate, source, target, to, on_progress=on_progress, overwrite=overwrite)

    def translate(
        self,
        blocks: Blocks,
        sample_rate: int,
        to: str,
        store: BlockStore,
        on_progress: Progress | None = None,
        *,
        amount: AmountLike = 1.0,
        on_note: NoteHandler | None = None,
    ) -> Renderer:
        """Translate a piece, all passes but the last.

        Args:
            blocks: returns the piece's blocks (C, n) at each call.
            sample_rate: sample rate of blocks and result, in Hz.
            to: the genre to translate to.
            store: keeps the result until its loudness is known.
            on_progress: called with the share of the work that is done.
            amount: share of the change in dB, from 0 to 1.
            on_note: called with each of `PieceStatistics.notes`.

        Returns:
            A function from the highest peak allowed to the result's blocks (C, n), for any number of calls.

        Raises:
            UserError: see `__call__`.
        """
        amount = as_amount(amount)
        self.model.generator(to)
        workers = n_workers(self.device)
        with single_threaded():
            statistics = self.analyse(blocks, sample_rate, to, workers)
            if on_note:
                for note in statistics.notes:
                    on_note(note)
            if statistics.correction or statistics.has_dc_offset:
                blocks = partial(statistics.corrected, blocks, sample_rate)
                statistics = self.analyse(blocks, sample_rate, to, workers)
            if not statistics.is_silent:
                result = LoudnessMatcher(store, sample_rate)
                stream = self.stream(blocks(), sample_rate, to, statistics, amount=amount, workers=workers)
                for block in stream:
                    result.append(block)
                    if on_progress:
                        on_progress(result.n_samples / statistics.n_samples)
                return partial(result.normalised_to, statistics.lufs)
        return lambda max_peak: iter(blocks())

    @torch.no_grad()
    def analyse(self, blocks: Blocks, sample_rate: int, to: str, workers: int = 1) -> PieceStatistics:
        """Measure the statistics of a piece in one pass, or two with an inverted channel or quiet passages.

        Raises:
            UserError: samples that are not finite or above 1e6, or no samples.
        """
        channels, mid = ChannelAnalysis(sample_rate), self._mid_analysis(sample_rate)
        for block in check_samples(blocks(), sample_rate):
            channels.push(block)
            mid.push(block.mean(0))
        statistics = channels.finish()
        if statistics.is_silent:
            return statistics
        if (statistics.signs < 0).any() or statistics.reference_db != -math.inf:
            mid = self._mid_analysis(sample_rate)
            for block in Leveller(sample_rate, statistics.reference_db).lift(blocks(), OMITTED_DB):
                mid.push((block * statistics.signs).mean(0))
        statistics = mid.finish(statistics)
        if statistics.is_single_window or not mid.sampler.windows:
            return statistics
        generator = self.windowed_generator(to, statistics)
        inputs = [generator.normalise(window[None, None]) for window in mid.sampler.windows]
        with generator_precision(generator.generator, self.bf16):
            norm_statistics = collect_statistics(generator.generator, inputs, workers) or None
        return replace(statistics, norm_statistics=norm_statistics)

    def _mid_analysis(self, sample_rate: int) -> MidAnalysis:
        return MidAnalysis(sample_rate, self.mel, self.normalisation, self.window, self.device)

    @torch.no_grad()
    def stream(
        self,
        blocks: Iterable[Tensor],
        sample_rate: int,
        to: str,
        statistics: PieceStatistics,
        *,
        amount: AmountLike = 1.0,
        chunk_frames: int = CHUNK_FRAMES,
        resample_block_s: float | None = None,
        workers: int = 1,
    ) -> Iterator[Tensor]:
        """Translate blocks (C, n) to blocks (C, m), before loudness matching.

        Args:
            blocks: blocks of the piece.
            sample_rate: sample rate of blocks and result, in Hz.
            to: the genre to translate to.
            statistics: statistics of the whole piece.
            amount: share of the change in dB, from 0 to 1.
            chunk_frames: frames that the vocoder synthesises at once.
            resample_block_s: seconds resampled at once; see `Resampler`.
            workers: threads for windows and for chunks.
        """
        n_continued = self.n_continued(sample_rate)
        leveller = Leveller(sample_rate, statistics.reference_db)
        blocks = continue_blocks(leveller.lift(check_samples(blocks, sample_rate)), n_continued)
        generator = self.windowed_generator(to, statistics, amount)
        pipeline = Pipeline(generator, self.vocoder, chunk_frames, self.device, workers)
        if workers > 1:
            window_s = generator.stream_window * self.mel.frame_s
            blocks = group_blocks(blocks, round(GROUP_WINDOWS * workers * window_s * sample_rate))
        to_mel_rate = Resampler(sample_rate, self.mel.sample_rate, resample_block_s)
        from_mel_rate = Resampler(self.mel.sample_rate, sample_rate, resample_block_s)
        translated = self._translate_blocks(blocks, statistics.signs, pipeline, to_mel_rate, from_mel_rate)
        return map(leveller.restore, cut_continuations(translated, n_continued))

    def n_continued(self, sample_rate: int) -> int:
        """Return by how many samples a piece is continued at each end."""
        return -(-n_edge_frames(self.mel) * self.mel.hop_length * sample_rate // self.mel.sample_rate)

    @torch.no_grad()
    def _translate_blocks(
        self,
        blocks: Iterable[Tensor],
        signs: Tensor,
        pipeline: Pipeline,
        to_mel_rate: Resampler,
        from_mel_rate: Resampler,
    ) -> Iterator[Tensor]:
        n_in = n_out = 0
        for block in blocks:
            n_in += block.shape[1]
            resampled = to_mel_rate.push(mid_and_sides(block * signs))
            out = from_mel_rate.push(pipeline.push(resampled))
            n_out += out.shape[1]
            yield from_mid_and_sides(out) * signs
        out = from_mel_rate.push(pipeline.finish(to_mel_rate.finish(), len(signs)))
        rest = [out, *([] if (last := from_mel_rate.finish()) is None else [last])]
        out = torch.cat(rest, 1)[:, : n_in - n_out]
        missing = n_in - n_out - out.shape[1]  # the resampler may replace rates by the nearest ratio
        yield from_mid_and_sides(F.pad(out, (0, missing))) * signs

    def windowed_generator(
        self, to: str, statistics: PieceStatistics, amount: AmountLike = 1.0
    ) -> WindowedGenerator:
        """Return the generator toward `to`, to run over the mel of a piece."""
        return WindowedGenerator(
            self.model.generator(to), self.mel, self.window, statistics, amount, self.bf16, self.normalisation
        )
