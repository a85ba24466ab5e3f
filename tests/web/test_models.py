"""Models in the list of the page, and their cards."""

import json
import shutil
from pathlib import Path

import pytest

from cyclegan_audio.inference.checkpoints import load_model
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web.markdown import as_text, code_block
from cyclegan_audio.web.models import check_model, describe_model, list_models, list_runs, shipped_card


def make_run(folder: Path) -> Path:
    """Write what looks like a run from outside."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"no checkpoint")
    return folder


def test_shipped_models_come_first_and_runs_of_all_depths_follow(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("mine", "lofi_trap/2026", "sweep/pair/0")]
    make_run(tmp_path / ".app" / "hidden")
    (tmp_path / "empty" / "checkpoints").mkdir(parents=True)
    choices = list_models(tmp_path)
    assert [choice.value for choice in choices[:4]] == ["lofi_trap", "demo", "demo_trap", "lofi_rnb"]
    assert {choice.value for choice in choices[4:]} == set(map(str, runs))
    assert "mine (your run)" in {choice.label for choice in choices}


def test_a_link_out_of_the_folder_is_no_run(tmp_path):
    make_run(tmp_path / "elsewhere" / "run")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "elsewhere" / "run")
    assert list_runs(tmp_path / "runs") == []


@pytest.mark.parametrize("value", [None, "", "/etc/passwd", "../demo", "nothing"])
def test_what_is_not_in_the_list_is_refused(value, tmp_path):
    with pytest.raises(UserError, match="there is no such model"):
        check_model(tmp_path, value)


def test_a_damaged_run_is_one_line(tmp_path):
    run = make_run(tmp_path / "bad")
    with pytest.raises(UserError, match="cannot be read as a checkpoint") as error:
        describe_model(tmp_path, str(run))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["demo", "demo_trap", "lofi_trap", "lofi_rnb"])
def test_each_shipped_model_has_a_card_without_links(name, tmp_path):
    info = describe_model(tmp_path, name)
    assert set(info.targets) == set(load_model(name).genres)
    assert "**limits**" in info.card
    assert "melody, tempo and most of the harmony stay" in info.card
    assert "](" not in info.card
    assert shipped_card(name).count("\n* **") >= 5


def test_the_card_of_a_run_has_its_verdict_as_text(tmp_path, tiny_run):
    run = tmp_path / "mine"
    shutil.copytree(tiny_run, run)
    assert "It has no report yet" in describe_model(tmp_path, str(run)).card
    (run / "report").mkdir()
    (run / "report" / "report.json").write_text(json.dumps({"verdict": "a <b>filter</b> *only*"}))
    card = describe_model(tmp_path, str(run)).card
    assert r"Its report: a \<b\>filter\</b\> \*only\*" in card
    assert "**low and high**, after 0 training batches" in card


def test_text_is_no_markup():
    assert as_text("[a](b) <i> $x$ \x1b") == r"\[a\](b) \<i\> \$x\$ \\x1b"
    assert code_block("a\n````\nb").count("````") == 2
