"""Names that differ in case, that are misspelt, and that are not there."""

import subprocess
import sys

import pytest

from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.utils.name_matching import match_name, setting_names, suggest_setting

GENRES = ("jazz", "House", "LoFi", "lofi", "Straße")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("jazz", "jazz"),
        ("JAZZ", "jazz"),
        ("house", "House"),
        ("lofi", "lofi"),  # two differ in case only: each by its exact name
        ("LoFi", "LoFi"),
        ("STRASSE", "Straße"),
    ],
)
def test_a_name_is_found_exactly_or_without_regard_to_case(name, found):
    assert match_name(name, GENRES, "genre") == found


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("jaz", ("jazz", "house"), "there is no genre 'jaz'; did you mean 'jazz'? There are: jazz, house"),
        ("HOUS", ("jazz", "House"), "there is no genre 'HOUS'; did you mean 'House'? There are: jazz, House"),
        ("polka", ("jazz", "house"), "there is no genre 'polka'. There are: jazz, house"),
        (
            "LOFI",
            ("LoFi", "lofi", "jazz"),
            "there is no genre 'LOFI'; did you mean 'LoFi' or 'lofi'? There are: LoFi, lofi, jazz",
        ),
        ("", ("jazz",), "there is no genre ''. There are: jazz"),
        ("jazz", (), "there is no genre 'jazz'. There are none"),
    ],
)
def test_what_is_not_there_is_refused_with_the_likely_name_and_all(name, known, message):
    with pytest.raises(UserError) as caught:
        match_name(name, known, "genre")
    assert str(caught.value) == message


def test_the_message_says_where():
    with pytest.raises(UserError, match=r"no genre 'x' in the corpus data/mine\. There are: jazz"):
        match_name("x", ["jazz"], "genre", "in the corpus data/mine")


def test_it_needs_nothing_heavy():
    code = "import sys, cyclegan_audio.utils.name_matching; print({'torch', 'hydra'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("n_epoch", "; did you mean n_epochs?"),
        ("lr", "; did you mean model.lr?"),
        ("modle.lr", "; did you mean model.lr?"),
        ("model.lrr", "; did you mean model.lr?"),
        ("seed", "; did you mean seed?"),
        ("model.l", "; did you mean model.lr?"),
        ("weather", ""),
    ],
)
def test_settings_are_suggested_by_their_whole_name_or_its_end(name, meant):
    config = {"n_epochs": 1, "seed": 0, "model": {"_target_": "x", "lr": 1e-3, "seed": "${seed}"}}
    assert list(setting_names(config)) == ["n_epochs", "seed", "model.lr"]
    assert suggest_setting(name, list(setting_names(config))) == meant
