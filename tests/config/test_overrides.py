"""Paths and names pass through Hydra's grammar; a saved configuration accepts changes of single settings."""

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
def test_quoted_values_are_literal(value):
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
def test_values_in_hydra_grammar_are_not_quoted(argument):
    assert quote_values([argument], KEYS) == [argument]


def test_a_multirun_keeps_lists_and_quotes_paths():
    arguments = ["-m", "genre_pair.b=jazz,house", "corpus=glob(*)"]
    assert quote_values(arguments, KEYS) == arguments
    assert quote_values(["-m", "corpus=a [b]"], KEYS) == ["-m", "corpus='a [b]'"]


@pytest.fixture
def saved():
    return compose("train", ["run_dir=out"])


def test_single_settings_change(saved):
    apply_overrides(saved, ["n_epochs=7", "data.crop_frames=null", "model.loss_weights.cycle=5"], ())
    assert (saved.n_epochs, saved.data.crop_frames, saved.model.loss_weights.cycle) == (7, None, 5)
    assert saved.model.schedule.n_epochs == 7  # interpolations still follow


def test_an_allowed_group_changes(saved):
    apply_overrides(saved, ["logger=none", "vocoder=mask"], ("logger", "vocoder"))
    assert OmegaConf.to_container(saved.logger) == {}
    assert saved.vocoder._target_.endswith("MaskVocoder")
    assert saved.callbacks.previews.vocoder._target_.endswith("MaskVocoder")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model=cyclegan_small", "changes a group"),
        ("logger=abacus", "choose one of none"),
        ("n_epoch=1", "no setting n_epoch; did you mean n_epochs\\?; with resume= change only"),
        ("n_epochs=1,2", "give one value for n_epochs, got n_epochs=1,2"),
        ("~n_epochs", "give one value"),
        ("n_epochs=[", "change only settings of the run"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused_in_one_line(saved, change, message):
    with pytest.raises(UserError, match=message) as error_info:
        apply_overrides(saved, [change], ("logger",))
    assert "\n" not in str(error_info.value)
