"""Verb `share`: what is written and uploaded, its card, and what is refused."""

import hashlib
import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
import torch
import yaml
from PIL import Image

from cyclegan_audio import UserError
from cyclegan_audio.inference.checkpoints import PRETRAINED, list_pretrained, load_model, save_pretrained
from cyclegan_audio.inference.hub import parse_hub_run
from cyclegan_audio.inference.pair_card import Card
from cyclegan_audio.inference.translation_model import TranslationModel, make_metadata
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.reports.evaluation.evaluate import evaluate
from cyclegan_audio.reports.evaluation.ground_truth import paired_section
from cyclegan_audio.reports.evaluation.metric_tables import metrics_section
from cyclegan_audio.reports.evaluation.provenance import provenance_section
from cyclegan_audio.share import main
from cyclegan_audio.sharing.examples import MAX_PICTURE_BYTES
from cyclegan_audio.sharing.folder import write_pair
from tests.hub_server import Files, Hub, read_files

CONFIG: dict[str, Any] = {
    "model": {
        "generator": {
            "_target_": f"{ResnetGenerator.__module__}.ResnetGenerator",
            "n_filters": 4,
            "n_blocks": 1,
        }
    }
}
STATED = ("--license", "cc-by-4.0", "--data", "noise | of <mine>", "--rights", "all mine")


def write_run(folder: Path, corpus: Path, mel: Any) -> Path:
    """Write a run of 90 s with random weights, as training leaves it; return its folder."""
    torch.manual_seed(0)
    config = {**CONFIG, "data": {"corpus": str(corpus)}}
    metadata = make_metadata(("low", "high"), mel, 64, config, {"0" * 64: [[0.0, 60.0]]})
    metadata |= {"batches": 1234, "elapsed_s": 90.0}
    state = {
        f"gen_{direction}.{key}": value
        for direction in DIRECTIONS
        for key, value in ResnetGenerator(4, 1).state_dict().items()
    }
    (folder / "checkpoints").mkdir(parents=True)
    torch.save({"state_dict": state, "cyclegan_audio": metadata}, folder / "checkpoints" / "last.ckpt")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus, hifi, quick_classifiers) -> Path:
    """Return a run with a report."""
    folder = write_run(tmp_path_factory.mktemp("share") / "run", corpus, hifi)
    sections = (metrics_section, paired_section, provenance_section)  # what a card and `compare` read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cyclegan_audio.reports.evaluation.evaluate.SECTIONS", sections)
        patch.setattr("cyclegan_audio.reports.evaluation.evaluate._load_tagger", lambda *_: "left out")
        evaluate(folder, clips=2, vocoder="mask")
    return folder


@pytest.fixture
def uploads(hub: Hub, monkeypatch) -> list[dict[str, Any]]:
    """Log in, and return what the client's `upload_folder` is called with, with the files at that time."""
    calls: list[dict[str, Any]] = []

    def upload_folder(self: object, **options: Any) -> SimpleNamespace:
        calls.append({**options, "files": read_files(Path(options["folder_path"]))})
        return SimpleNamespace(oid="1" * 40)

    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", upload_folder)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    return calls


def front_matter(files: Files) -> Any:
    return yaml.safe_load(files["README.md"].decode().split("---\n")[1])


def test_a_dry_run_writes_what_is_uploaded(run, hub: Hub, uploads, tmp_path, capsys):
    main([str(run), "me/pair", *STATED, "--sounds", "--dry-run", str(tmp_path / "dry")])
    assert hub.requests == []
    assert "nothing was uploaded" in capsys.readouterr().out
    main([str(run), "me/pair", *STATED, "--sounds", "--private"])
    files = read_files(tmp_path / "dry")
    (call,) = uploads
    assert call["files"] == files
    assert call["repo_id"] == "me/pair"
    assert hub.requests == ["GET /api/models/me/pair", "POST /api/repos/create"]
    out = capsys.readouterr().out
    assert f"shared: {hub.address}/me/pair" in out
    assert f"exactly this version: hf:me/pair@{'1' * 40}" in out
    assert "next: cyclegan-audio translate hf:me/pair song.mp3 out.wav --to high" in out
    assert set(files) == {
        "README.md",
        "pair.json",
        "picture.jpg",
        *(f"gen_{direction}.safetensors" for direction in DIRECTIONS),
        *(
            f"sounds/{pair}_{name}.mp3"
            for pair in ("low_to_high", "high_to_low")
            for name in ("before", "after")
        ),
    }


def test_the_card_says_what_it_is_and_hides_where_it_was_made(run, tmp_path, corpus, capsys):
    main([str(run), "me/pair", *STATED, "--sounds", "--dry-run", str(tmp_path / "dry")])
    files = read_files(tmp_path / "dry")
    pair = json.loads(files["pair.json"])
    sums = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name not in ("README.md", "pair.json")
    }
    assert pair["checksums"] == sums
    card = load_model(tmp_path / "dry").card
    assert (card.license, card.data, card.rights) == ("cc-by-4.0", "noise | of <mine>", "all mine")
    assert card.training_minutes == 1.5
    measured = {(row.direction, row.metric) for row in card.measurements()}
    assert ("low to high", "onsets, F1 within 50 ms") in measured
    assert ("high to low", "error against the same score by the other band, dB") in measured
    head, page = front_matter(files), files["README.md"].decode()
    assert head["license"] == "cc-by-4.0"
    assert {"music", "low", "high"} <= set(head["tags"])
    for text in (
        "cyclegan-audio translate hf:me/pair song.mp3 out.wav --to high",
        r"| data | noise \| of &lt;mine&gt; (1 recordings, 1 min",
        "| rights in the data | all mine |",
        "| training | 2 min, 1,234 batches |",
        "low to high: onsets, F1 within 50 ms",
        "prove that the files are whole, not whom they come from",
        "![",
    ):
        assert text in page, text
    texts = page + files["pair.json"].decode()
    assert not any(str(path) in texts for path in (run, corpus, tmp_path, Path.home()))
    assert Image.open(io.BytesIO(files["picture.jpg"])).size[0] > 400
    assert len(files["picture.jpg"]) <= MAX_PICTURE_BYTES
    before, after = (
        soundfile.read(io.BytesIO(files[f"sounds/low_to_high_{name}.mp3"]))[0] for name in ("before", "after")
    )
    assert len(before) == pytest.approx(44100, rel=0.1)
    assert abs(after).max() > 0.01


def test_no_music_goes_along_unless_it_is_asked_for(run, tmp_path):
    main([str(run), "me/pair", *STATED, "--dry-run", str(tmp_path / "dry")])
    assert not (tmp_path / "dry" / "sounds").exists()
    assert (tmp_path / "dry" / "picture.jpg").exists()


def test_a_shared_folder_is_shared_again_as_it_is(run, tmp_path, monkeypatch):
    """Without corpus, report and the client of the Hub; what the new command states replaces the old."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    write_pair(run, tmp_path / "first", "hf:me/pair", texts={"license": "mit", "data": "noise"}, sounds=True)
    main(
        [
            str(tmp_path / "first"),
            "you/pair",
            "--license",
            "other",
            "--sounds",
            "--dry-run",
            str(tmp_path / "second"),
        ]
    )
    first, second = (read_files(tmp_path / name) for name in ("first", "second"))
    assert {name for name in first if first[name] != second[name]} == {"README.md", "pair.json"}
    before, after = (load_model(tmp_path / name).card for name in ("first", "second"))
    assert (after.license, after.data, after.measured) == ("other", "noise", before.measured)


def test_a_run_without_corpus_and_report_is_shared_with_notes(tmp_path, hifi, capsys):
    run = write_run(tmp_path / "run", tmp_path / "gone", hifi)
    main([str(run), "me/pair", "--license", "mit", "--dry-run", str(tmp_path / "dry")])
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert [note.partition(":")[2].partition(":")[0].strip() for note in notes] == [
        "the card has no measured numbers",
        "no picture and no sounds",
    ]
    page = (tmp_path / "dry" / "README.md").read_text()
    assert "No measured numbers come with this pair." in page
    assert "| rights in the data | not stated |" in page


def test_a_report_of_another_checkpoint_is_not_used(run, tmp_path):
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    content["cyclegan_audio"]["batches"] = 5
    other = tmp_path / "other.ckpt"
    torch.save(content, other)
    texts = {"license": "mit"}
    with pytest.raises(UserError, match="of another checkpoint"):
        write_pair(other, tmp_path / "dry", "hf:me/pair", texts=texts, report=run / "report")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["demo", "pair", "--dry-run", "dry"],
            "a name on the Hub is OWNER/NAME, such as me/lofi_trap, got 'pair'",
        ),
        (["demo", "me/pair/x"], "a name on the Hub is OWNER/NAME"),
        (["RUN", "me/pair", "--dry-run", "dry"], "needs the licence of the weights: add --license ID"),
        (["RUN", "me/pair", "--license", "CC BY", "--dry-run", "dry"], "must be an identifier such as mit"),
        (["demo", "me/pair", "--dry-run", "."], "exists; choose a new folder"),
        (["demo.onnx", "me/pair", "--dry-run", "dry"], "is an export; share the run that it comes from"),
        (["nowhere", "me/pair", "--dry-run", "dry"], "no run 'nowhere'"),
        (["demo", "me/pair"], "sharing needs a token of the Hub that may write; run: hf auth login"),
    ],
)
def test_a_wrong_command_is_one_line_and_writes_nothing(
    words, message, run, hub: Hub, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("here").touch()
    before = read_files(tmp_path)
    with pytest.raises(SystemExit) as completed:
        main([str(run) if word == "RUN" else word for word in words])
    assert completed.value.code == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert stderr.count("\n") == 1
    assert read_files(tmp_path) == before
    assert hub.requests == []


def test_other_models_and_public_ones_are_not_overwritten(hub: Hub, uploads, capsys):
    hub.add("me/bert", {"config.json": b"{}", "README.md": b"x"})
    hub.add("me/empty", {".gitattributes": b""})
    hub.add("me/pair", {"pair.json": b"{}"})
    for words, message in (
        (["me/bert"], "me/bert exists and is another kind of model"),
        (["me/pair", "--private"], "me/pair exists and is public"),
    ):
        with pytest.raises(SystemExit):
            main(["demo", *words])
        assert message in capsys.readouterr().err
    assert uploads == []
    for name in ("me/empty", "me/pair"):
        main(["demo", name])
    assert [call["repo_id"] for call in uploads] == ["me/empty", "me/pair"]
    assert all("gen_*.safetensors" in call["delete_patterns"] for call in uploads)


@pytest.mark.parametrize(
    ("status", "message"), [(403, "no access to hf:me/pair"), (503, "cannot be reached")]
)
def test_a_hub_that_refuses_is_one_line(status, message, hub: Hub, uploads, capsys):
    hub.status = status
    with pytest.raises(SystemExit):
        main(["demo", "me/pair"])
    stderr = capsys.readouterr().err
    assert message in stderr
    assert stderr.count("\n") == 1
    assert uploads == []


def test_names_with_markup_stay_text(tmp_path, hifi):
    """The README of a stranger's pair is shown on web pages."""
    genres = ('<b>"lo: fi\n# x', "`t|rap`")
    generators = {direction: ResnetGenerator(4, 1).eval() for direction in DIRECTIONS}
    model = TranslationModel(genres, hifi, generators, 64, CONFIG)  # type: ignore[arg-type]
    model.card = Card(license="mit", data="a | b\n\n# <script>", limits="![x](y)")
    save_pretrained(model, tmp_path / "pair", "hf:me/pair")
    files = read_files(tmp_path / "pair")
    assert front_matter(files)["tags"][-1] == "`t|rap`"
    page = files["README.md"].decode().split("---\n", 2)[2]
    assert "<" not in page.replace("```", "").split("```bash")[0]
    assert not re.search(r"^# x|<script|<b>", page, re.MULTILINE)
    assert r"!\[x\](y)" in page
    assert load_model(tmp_path / "pair").genres == genres


@pytest.mark.parametrize("name", list_pretrained())
def test_pairs_that_ship_have_a_whole_card(name, tmp_path):
    folder = PRETRAINED / name
    files, model = read_files(folder), load_model(name)
    assert sum(map(len, files.values())) < 2 << 20
    assert set(files) == {
        "README.md",
        "pair.json",
        "picture.jpg",
        *(f"gen_{d}.safetensors" for d in DIRECTIONS),
    }
    card = model.card
    assert all((card.license, card.data, card.rights, card.limits, card.measured_on))
    assert card.training_minutes >= 16
    a, b = model.genres
    for direction in (f"{a} to {b}", f"{b} to {a}"):
        assert sum(row.direction == direction for row in card.measurements()) >= 4
    assert len(files["picture.jpg"]) <= MAX_PICTURE_BYTES
    write_pair(name, tmp_path / "again", name)
    assert read_files(tmp_path / "again") == files


def test_numbers_of_a_row_have_the_same_decimals():
    rows = (PRETRAINED / "demo" / "README.md").read_text().splitlines()
    cells = next(row for row in rows if row.startswith("| lofi to rnb: error")).split("|")
    assert [cell.strip() for cell in cells[2:6]] == ["6.00 (5.64 to 6.36)", "8.89", "6.94", "0.00"]


def test_names_on_the_hub():
    assert parse_hub_run("hf:a/b") == ("a/b", None)
    assert parse_hub_run("hf:a.b-c_d/e@refs/pr/1") == ("a.b-c_d/e", "refs/pr/1")
