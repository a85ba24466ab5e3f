"""The sections of a report in the order in which they are read, each a function of what was translated.

A new metric is one more function from `Evaluated` to `Section` in `SECTIONS`.
"""

from collections.abc import Callable

from cyclegan_audio.evaluation.listening import listening_section
from cyclegan_audio.evaluation.paired import paired_section
from cyclegan_audio.evaluation.pictures import pictures_section
from cyclegan_audio.evaluation.reconstruction import reconstruction_section
from cyclegan_audio.evaluation.run_record import run_section
from cyclegan_audio.evaluation.training_losses import losses_section
from cyclegan_audio.evaluation.translations import Evaluated
from cyclegan_audio.pages import Section

SECTIONS: tuple[Callable[[Evaluated], Section], ...] = (
    paired_section,
    pictures_section,
    listening_section,
    reconstruction_section,
    losses_section,
    run_section,
)
