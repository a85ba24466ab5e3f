"""The sections of a report in the order in which they are read, each a function of what was translated.

A new metric is one more function from `Evaluated` to `Section` in `SECTIONS`.
"""

from collections.abc import Callable

from cyclegan_audio.evaluation.gallery import gallery_section
from cyclegan_audio.evaluation.listening import listening_section
from cyclegan_audio.evaluation.paired import paired_section
from cyclegan_audio.evaluation.pictures import pictures_section
from cyclegan_audio.evaluation.reconstruction import reconstruction_section
from cyclegan_audio.evaluation.run_record import run_section
from cyclegan_audio.evaluation.score_events import score_section
from cyclegan_audio.evaluation.seams import seams_section
from cyclegan_audio.evaluation.training_losses import losses_section
from cyclegan_audio.evaluation.translations import Evaluated
from cyclegan_audio.evaluation.whole_picture import measures_section
from cyclegan_audio.pages import Section

SECTIONS: tuple[Callable[[Evaluated], Section], ...] = (
    measures_section,
    paired_section,
    score_section,
    pictures_section,
    gallery_section,
    listening_section,
    reconstruction_section,
    seams_section,
    losses_section,
    run_section,
)
