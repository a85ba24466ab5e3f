"""Long music is translated window by window: whether one sees the borders."""

import torch

from cyclegan_audio.data.corpus import Clip
from cyclegan_audio.errors import UserError
from cyclegan_audio.evaluation.measured import by_track
from cyclegan_audio.evaluation.translations import Direction, Evaluated, spread
from cyclegan_audio.metrics.artefacts import seam_db
from cyclegan_audio.metrics.intervals import Estimate
from cyclegan_audio.pages import Section, Table
from cyclegan_audio.translation.translator import Translator

TRIED = 6  # stretches a direction
CLIPS = 4  # in a stretch, at most
HOW = (
    "Held-out clips that follow each other are joined, translated as `translate` does it, and the "
    "movement from "
    "frame to frame of what the model changed is compared at the windows' borders with everywhere else: 0 dB "
    "where no seam is heard."
)


def seams_section(evaluated: Evaluated) -> Section:
    """Seam energy of joined clips, both directions."""
    section = Section("seams", "Seams between windows", [HOW])
    rows = []
    try:
        for way in evaluated.directions:
            value = seam_energy(way, evaluated)
            rows.append(
                [
                    str(way),
                    str(value) if value else "no clips follow each other",
                    str(value.n if value else 0),
                ]
            )
            section.numbers[str(way)] = value.to_dict() if value else None
    except UserError as error:
        section.paragraphs.append(f"Not measured: {error}.")
        return section
    section.tables.append(Table("", ["", "seam energy (dB)", "stretches"], rows))
    return section


def seam_energy(way: Direction, evaluated: Evaluated) -> Estimate | None:
    """Mean over stretches of music; None where no clips follow each other.

    Raises:
        UserError: the corpus keeps no audio.
    """
    translator = Translator(evaluated.pair, device=evaluated.pair.device)
    hop = translator.window - translator.window // 4
    values, clips = [], []
    for stretch in spread(stretches([example.clip for example in way.examples]), TRIED):
        sound = torch.cat([evaluated.corpus.audio(clip) for clip in stretch])
        mel_db = evaluated.mel.mel_db(sound[None])[0]
        change = translator.translate_mel(mel_db, way.target) - mel_db
        starts = range(hop, mel_db.shape[1], hop)
        values.append(
            seam_db(change, [edge for start in starts for edge in (start, start + translator.window // 4)])
        )
        clips.append(stretch[0])
    return by_track(torch.tensor(values, dtype=torch.float64).numpy(), clips) if values else None


def stretches(clips: list[Clip]) -> list[list[Clip]]:
    """Runs of two to four clips that follow each other without a gap."""
    out: list[list[Clip]] = [[]]
    for clip in clips:
        last = out[-1][-1] if out[-1] else None
        follows = (
            last is not None
            and last.content == clip.content
            and abs(last.start_s + last.duration_s - clip.start_s) < 1e-3
        )
        if follows and len(out[-1]) < CLIPS:
            out[-1].append(clip)
        else:
            out.append([clip])
    return [run for run in out if len(run) > 1]
