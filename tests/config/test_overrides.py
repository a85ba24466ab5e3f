"""Paths and names of the command line survive Hydra's grammar; earlier configurations take single changes."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from cyclegan_audio.config import compose
from cyclegan_audio.config.overrides import apply_overrides, quote_values
from cyclegan_audio.utils.errors import UserError

KEYS = ("corpus", "genre_pair.b")


@pytest.mark.parametrize(
    "value",
    [
        "Lofi [2018] & more",
        "Bob's, vol. #1",
        "~x=y",
        "r&b",
        'say "hi"',
        "a\\b",
        "{1}",
        "(x)",
        "1e3",
        "true",
        "C:/x",
    ],
)
def test_values_come_through_as_they_are(value):
    arguments = quote_values([f"corpus={value}", "n_epochs=3"], KEYS)
    parsed = OverridesParser.create().parse_overrides(arguments)
    assert parsed[0].value() == value
    assert parsed[1].value() == 3
    assert compose("train", arguments).corpus == value


@pytest.mark.parametrize(
    "argument",
    [
        "corpus=null",
        "corpus=",
        "corpus='a b'",
        "run_dir=x,y",
        "corpus=${run_dir}",
        "--help",
        "~corpus",
        "n_epochs=[1]",
    ],
)
def test_what_is_hydras_stays(argument):
    assert quote_values([argument], KEYS) == [argument]


def test_lists_of_a_multirun_stay_and_odd_paths_survive_in_it():
    arguments = ["-m", "genre_pair.b=jazz,house", "corpus=glob(*)"]
    assert quote_values(arguments, KEYS) == arguments
    assert quote_values(["-m", "corpus=a [b]"], KEYS) == ["-m", "corpus='a [b]'"]


@pytest.fixture
def saved():
    return compose("train", ["run_dir=out"])


def test_single_values_change(saved):
    apply_overrides(saved, ["n_epochs=7", "data.crop_frames=null", "model.loss_weights.cycle=5"], ())
    assert (saved.n_epochs, saved.data.crop_frames, saved.model.loss_weights.cycle) == (7, None, 5)
    assert saved.model.schedule.n_epochs == 7  # what followed a value follows it still


def test_a_group_that_may_be_chosen_anew(saved):
    apply_overrides(saved, ["logger=none", "vocoder=mask"], ("logger", "vocoder"))
    assert OmegaConf.to_container(saved.logger) == {}
    assert saved.vocoder._target_.endswith("MaskVocoder")
    assert saved.callbacks.previews.vocoder._target_.endswith("MaskVocoder")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model=cyclegan_small", "names a whole group"),
        ("logger=abacus", "choose one of none"),
        ("n_epoch=1", "no setting n_epoch; did you mean n_epochs\\?; with resume= only values"),
        ("n_epochs=1,2", "name one value"),
        ("~n_epochs", "name one value"),
        ("n_epochs=[", "only values that the run has"),
    ],
)
def test_what_cannot_change_is_one_line(saved, change, message):
    with pytest.raises(UserError, match=message) as refused:
        apply_overrides(saved, [change], ("logger",))
    assert "\n" not in str(refused.value)
