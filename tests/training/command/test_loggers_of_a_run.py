"""What W&B and TensorBoard get from a run."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.loss_table import rows
from tests.wandb_file import logged, read_run


def text_of(events, name: str) -> str:
    """The last text that TensorBoard has under a name."""
    return events.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode()


def test_wandb_gets_what_the_folder_gets_and_the_corpus_and_checkpoints(run, pictured, monkeypatch, tmp_path):
    """Read back from the offline run's own file."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    once = ("n_epochs=1", "n_epochs_decay=0", "callbacks.previews.every_epochs=1", "logger.group=ours")
    code, shown = run(*pictured, *once, "callbacks.artifacts.checkpoints=true", "run_dir=out")
    assert code == 0, shown
    out = Path("out")
    found = read_run(out)
    (begun,) = found["run"]
    assert (begun.project, begun.run_group) == ("cyclegan_audio", "ours")
    assert begun.run_id == (out / "wandb_id.txt").read_text()
    assert {"genre_pair", "model", "data"} <= {item.key for item in begun.config.update}
    summaries = {metric.name: metric.summary for metric in found["metric"]}
    assert summaries["held_out/score"].min

    rows_of = logged(found["history"])
    written = [(int(row["batch"]), float(row["cycle_a"])) for row in rows(out)]
    assert [step for step, _ in rows_of["cycle/cycle_a"]] == [step for step, _ in written] == [2, 4, 6, 8]
    assert [value for _, value in rows_of["cycle/cycle_a"]] == pytest.approx([value for _, value in written])
    assert {"held_out/score", "disc/disc_b", "adversarial/adversarial_ab", "progress/lr"} <= set(rows_of)
    ways = ("low_to_high", "high_to_low")
    for name, kind in {
        **{f"grids/{way}": "images/separated" for way in ("a_to_b", "b_to_a")},
        **{f"audio/{way}_0_{heard}": "audio" for way in ways for heard in ("real", "fake")},
        **{f"clips/{way}": "table-file" for way in ("a_to_b", "b_to_a")},
    }.items():
        assert rows_of[f"{name}/_type"] == [(8, kind)]
    folder = next(out.glob("wandb/offline-run-*")) / "files"
    table = json.loads((folder / rows_of["clips/a_to_b/path"][0][1]).read_text())
    (clip,) = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert (clip["epoch"], clip["to"]) == (1, "high")
    assert clip["cycle error (dB)"] > 0
    of_tables = [file for artifact in found["artifact"] if artifact.type == "run_table"
                 for file in artifact.manifest.contents]  # fmt: skip
    heard = {Path(file.local_path).read_bytes() for file in of_tables if file.path.endswith(".wav")}
    assert heard == {path.read_bytes() for path in (out / "audio").iterdir()}
    seen = [Image.open(file.local_path) for file in of_tables if file.path.endswith(".png")]
    assert [(picture.height, picture.width % 3) for picture in seen] == [(128, 0)] * 2

    kept = {artifact.type: artifact for artifact in found["artifact"]}
    assert {"dataset", "model"} <= set(kept)
    assert {entry.path for entry in kept["dataset"].manifest.contents} == {"corpus.json", "manifest.parquet"}
    assert json.loads(kept["dataset"].metadata)["clips"]["low"]["train"] > 0
    (last,) = [entry for entry in kept["model"].manifest.contents if entry.path == "last.ckpt"]
    assert Path(last.local_path).read_bytes() == (out / "checkpoints" / "last.ckpt").read_bytes()


def without_genre(name: str) -> str:
    """Leave out a genre or a direction at the end of a name, such as `_ab` or `a_to_b`."""
    return re.sub("(_ab|_ba|a_to_b|b_to_a|_a|_b)$", "", name)


def documented_names() -> set[str]:
    """Return the names in the guide to the loggers, by `without_genre`."""
    guide = (Path(__file__).parents[3] / "conf" / "logger" / "README.md").read_text()
    return {without_genre(name) for name in re.findall(r"`(\w+/\w+)`", guide)}


def test_tensorboard_gets_what_the_folder_gets(run, pictured):
    """Also the numbers of restoration, piece and the discriminators' optimizer; all names are documented."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    once = (
        *(
            "n_epochs=1",
            "n_epochs_decay=0",
            "callbacks.previews.every_epochs=1",
            "model.discriminator_lr=5e-5",
        ),
        *("model.loss_weights.restoration=5", "model.loss_weights.piece=1", "model.cycle_every=2"),
    )
    code, shown = run(*pictured, *once, "logger=tensorboard", "run_dir=out")
    assert code == 0, shown
    events = accumulator.EventAccumulator("out/tensorboard")
    events.Reload()
    cycle = [(event.step, event.value) for event in events.Scalars("cycle/cycle_a")]
    written = [(int(row["batch"]), float(row["cycle_a"])) for row in rows(Path("out"))]
    assert [step for step, _ in cycle] == [step for step, _ in written] == [2, 4, 6, 8]
    assert [value for _, value in cycle] == pytest.approx([value for _, value in written])
    tags = events.Tags()
    names = {*tags["scalars"], *(name.removesuffix("/text_summary") for name in tags["tensors"])}
    assert {"restoration/restoration_a", "restoration/restoration_b", "held_out/checkerboard_ba"} <= names
    assert {"piece/piece_ab", "piece/piece_ba"} <= names
    assert {without_genre(name) for name in names if not name.startswith("tagger/")} <= documented_names()
    assert [event.value for event in events.Scalars("progress/lr_disc")] == pytest.approx([5e-5] * 4)
    assert set(tags["images"]) == {"grids/a_to_b", "grids/b_to_a"}
    assert "cycle error (dB)" in text_of(events, "clips/a_to_b")
    assert set(tags["audio"]) == {
        f"audio/{way}_0_{kind}" for way in ("low_to_high", "high_to_low") for kind in ("real", "fake")
    }
