"""Pairs from the Hub as RUN: downloads by revision, the cache, no network, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import soundfile
import torch

from cyclegan_audio import UserError
from cyclegan_audio.inference.checkpoints import load_model, resolve_run, save_pretrained
from cyclegan_audio.inference.hub import MAX_PAIR_BYTES, download_pair
from cyclegan_audio.inference.translation_model import TranslationModel
from cyclegan_audio.models.directions import DIRECTIONS
from cyclegan_audio.models.networks.generators import ResnetGenerator
from cyclegan_audio.reports.evaluation.report_files import report_folder
from cyclegan_audio.training.head_start import load_networks
from cyclegan_audio.training.resume import find_resume_checkpoint
from cyclegan_audio.vocoders.bigvgan import locate_checkpoint
from tests.hub_server import Files, Hub, read_files
from tests.vocoders.sounds import preset

WEIGHTS = {"gen_ab.safetensors", "gen_ba.safetensors"}
TARGET = f"{ResnetGenerator.__module__}.ResnetGenerator"


def write_pair_files(folder: Path, seed: int = 0) -> Files:
    """Write a small pair with random weights; return its files."""
    torch.manual_seed(seed)
    generators = {direction: ResnetGenerator(4, 1).eval() for direction in DIRECTIONS}
    config = {"model": {"generator": {"_target_": TARGET, "n_filters": 4, "n_blocks": 1}}}
    model = TranslationModel(("lofi", "rnb"), preset("hifi"), generators, 64, config, 7)  # type: ignore[arg-type]
    save_pretrained(model, folder / f"pair_{seed}")
    return read_files(folder / f"pair_{seed}")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> list[Files]:
    """Return the files of two versions of a pair."""
    folder = tmp_path_factory.mktemp("pairs")
    return [write_pair_files(folder, seed) for seed in (0, 1)]


def change_pair(files: Files, **fields: object) -> Files:
    """Return the files of a pair with other fields in pair.json."""
    return {**files, "pair.json": json.dumps({**json.loads(files["pair.json"]), **fields}).encode()}


def first_weights(run: str) -> torch.Tensor:
    return next(iter(load_model(run).generators["ab"].parameters()))


def test_a_pair_is_downloaded_by_its_revision_and_nothing_else_is(hub: Hub, pairs):
    extra = {"model.pkl": b"cos\nsystem\n", "sounds/before.mp3": b"x"}
    old = hub.add("me/pair", {**pairs[0], **extra}, "v1")
    hub.add("me/pair", {**pairs[1], **extra})
    latest, tagged, by_commit = (
        first_weights(run) for run in ("hf:me/pair", "hf:me/pair@v1", f"hf:me/pair@{old}")
    )
    assert not torch.equal(latest, tagged)
    assert torch.equal(tagged, by_commit)
    assert hub.fetched() == {"pair.json", *WEIGHTS}
    cached = {path.name for path in resolve_run("hf:me/pair").iterdir()}
    assert cached == {"pair.json", *WEIGHTS}


def test_a_process_asks_once_and_a_commit_in_the_cache_is_never_asked_for(hub: Hub, pairs):
    commit = hub.add("me/pair", pairs[0])
    load_model("hf:me/pair")
    n_requests = len(hub.requests)
    load_model("hf:me/pair")
    download_pair.cache_clear()
    load_model(f"hf:me/pair@{commit}")
    assert len(hub.requests) == n_requests


@pytest.mark.parametrize("outage", ["503", "no server", "HF_HUB_OFFLINE"])
def test_without_network_one_line_comes_after_one_request(outage, hub: Hub, pairs, monkeypatch, capsys):
    """The client itself would wait 28 s in five retries; here any wait is an error."""
    hub.add("me/pair", pairs[0])
    load_model("hf:me/pair")
    download_pair.cache_clear()
    hub.requests.clear()
    if outage == "503":
        hub.status = 503
    elif outage == "no server":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    else:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        getattr(huggingface_hub.utils, "reset_sessions", lambda: None)()
    capsys.readouterr()
    assert load_model("hf:me/pair").genres == ("lofi", "rnb")  # from the cache
    note = capsys.readouterr().err
    assert "using hf:me/pair as downloaded before" in note
    assert note.count("\n") == 1
    for run in (lambda: resolve_run("hf:me/other"), lambda: locate_checkpoint("owner/vocoder")):
        hub.requests.clear()
        with pytest.raises(UserError) as error:
            run()
        assert "\n" not in str(error.value)
        expected = "HF_HUB_OFFLINE is set" if outage == "HF_HUB_OFFLINE" else "cannot be reached"
        assert expected in str(error.value)
        assert len(hub.requests) == (outage == "503")


def test_a_vocoder_is_downloaded_once(hub: Hub):
    hub.add("owner/vocoder", {"config.json": b"{}", "bigvgan_generator.pt": b"x", "other.bin": b"y"})
    config, weights = locate_checkpoint("owner/vocoder")
    assert (config.read_bytes(), weights.read_bytes()) == (b"{}", b"x")
    assert hub.fetched() == {"config.json", "bigvgan_generator.pt"}
    hub.status = 503
    n_requests = len(hub.requests)
    assert locate_checkpoint("owner/vocoder") == (config, weights)
    assert len(hub.requests) == n_requests


def test_damaged_weights_are_refused(hub: Hub, pairs):
    weights = bytearray(pairs[0]["gen_ba.safetensors"])
    weights[-1] ^= 1
    hub.add("me/pair", {**pairs[0], "gen_ba.safetensors": bytes(weights)})
    with pytest.raises(
        UserError, match=r"gen_ba\.safetensors of hf:me/pair does not match its checksum"
    ) as error:
        load_model("hf:me/pair")
    assert "delete" in str(error.value)


def test_a_damaged_cache_is_named(hub: Hub, pairs):
    commit = hub.add("me/pair", pairs[0])
    path = resolve_run("hf:me/pair") / "gen_ab.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for run in ("hf:me/pair", f"hf:me/pair@{commit}"):
        download_pair.cache_clear()
        with pytest.raises(UserError, match=r"to download it again, delete .*hub_cache/models--me--pair$"):
            load_model(run)


def test_a_cached_pair_of_an_older_format_is_updated(hub: Hub, pairs):
    hub.add("me/pair", pairs[0])
    old = resolve_run("hf:me/pair") / "pair.json"
    old.write_text(old.read_text().replace('"format": 2,', '"format": 1,'))
    new = hub.add("me/pair", pairs[1])
    download_pair.cache_clear()
    assert resolve_run("hf:me/pair").name == new


def test_a_pair_that_changes_during_its_download_is_not_mixed(hub: Hub, pairs):
    hub.add("me/pair", pairs[0])
    hub.after_info = lambda: hub.add("me/pair", pairs[1])
    with pytest.raises(UserError, match="hf:me/pair has changed during the download"):
        load_model("hf:me/pair")


def test_what_is_no_pair_of_ours_is_refused_in_one_line(hub: Hub, pairs):
    hub.add("me/pair", pairs[0])
    hub.add("me/private", pairs[0])
    hub.repositories["me/private"].private = True
    hub.add("me/gated", pairs[0])
    hub.repositories["me/gated"].gated = True
    hub.add("me/bert", {"config.json": b"{}"})
    hub.add("me/half", {name: content for name, content in pairs[0].items() if name != "gen_ba.safetensors"})
    hub.add("me/future", change_pair(pairs[0], format=99))
    hub.add("me/nonsense", {**pairs[0], "pair.json": b"\xff{"})
    hub.add("me/huge", pairs[0])
    hub.repositories["me/huge"].sizes = {"gen_ab.safetensors": MAX_PAIR_BYTES + 1}
    for run, message in {
        "hf:me/nothing": "there is no hf:me/nothing on .*, or it is private; .*, or run: hf auth login",
        "hf:me/pair@v9": "hf:me/pair@v9 has no such revision; see ",
        "hf:me/private": "or it is private; .* hf auth login",
        "hf:me/gated": "needs its owner's leave; ask for it on http.*/me/gated, then run: hf auth login",
        "hf:me/bert": "is not a pair of cyclegan_audio: it has no pair.json",
        "hf:me/half": "it has no gen_ba.safetensors",
        "hf:me/future": "another version of cyclegan_audio .format 99",
        "hf:me/nonsense": "the file is damaged or no model of this version",
        "hf:me/huge": "has 536,870,913 bytes, more than a pair can need",
        "hf:me": "does not name a pair on the Hub; write hf:OWNER/NAME",
        "hf:me/pair@": "does not name a pair on the Hub",
        "hf://me/pair": "does not name a pair on the Hub",
        "hf:me/pair@a b": "does not name a pair on the Hub",
        "hf:../pair": "does not name",
        "hf:me/a--b": "does not name a model on the Hub",
    }.items():
        with pytest.raises(UserError, match=message) as error:
            load_model(run)
        assert "\n" not in str(error.value), run
    assert "me/huge/resolve" not in " ".join(r for r in hub.requests if r.endswith("safetensors"))


def test_a_token_opens_a_private_pair(hub: Hub, pairs, monkeypatch):
    hub.add("me/private", pairs[0])
    hub.repositories["me/private"].private = True
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert load_model("hf:me/private").genres == ("lofi", "rnb")


def test_a_pair_that_needs_a_package_names_it_and_stops(hub: Hub, pairs, monkeypatch):
    config = {"model": {"generator": {"_target_": "strange_networks.Net", "n_filters": 4}}}
    hub.add("me/pair", change_pair(pairs[0], config=config))
    with pytest.raises(
        UserError, match=r"names strange_networks\.Net.* add --trust-package strange_networks"
    ):
        load_model("hf:me/pair")
    with pytest.raises(UserError, match="strange_networks: no such package is installed"):
        load_model("hf:me/pair", trust_packages=["strange_networks"])


def test_without_the_package_one_line_says_so(hub: Hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: resolve_run("hf:me/pair"), lambda: locate_checkpoint("owner/vocoder")):
        with pytest.raises(
            UserError, match=r"needs the package huggingface_hub; run: pip install 'cyclegan-audio\[hub\]'"
        ):
            call()
    assert hub.requests == []


def test_files_about_a_downloaded_pair_lie_outside_of_the_cache(hub: Hub, pairs):
    commit = hub.add("me/pair", pairs[0])
    assert str(report_folder(resolve_run("hf:me/pair"))) == f"runs/me_pair_{commit[:8]}/report"
    with pytest.raises(UserError, match="cannot be resumed"):
        find_resume_checkpoint("hf:me/pair")


def test_a_training_begins_with_a_pair_from_the_hub(hub: Hub, pairs, tiny_model, hifi):
    hub.add("me/pair", pairs[0], "v1")
    model = tiny_model()
    load_networks(model, "hf:me/pair@v1", ("lofi", "rnb"), hifi)
    weights = next(iter(model.generator("ab").parameters()))
    assert torch.equal(weights, first_weights("hf:me/pair@v1"))


def test_translate_takes_a_pair_from_the_hub(hub: Hub, pairs, tmp_path):
    """The command as a user gives it, in a process of its own with an endpoint of its own."""
    commit = hub.add("me/pair", pairs[0])
    soundfile.write(tmp_path / "song.wav", torch.randn(30000, 1).numpy() / 10, 44100)
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
    command = [
        sys.executable,
        "-m",
        "cyclegan_audio",
        "translate",
        f"hf:me/pair@{commit}",
        "song.wav",
        "out.wav",
    ]
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    completed = subprocess.run(
        [*command, "--to", "rnb"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert soundfile.info(tmp_path / "out.wav").frames == 30000
    assert completed.stderr.splitlines()[0] == f"downloading hf:me/pair@{commit}"
