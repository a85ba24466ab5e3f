"""The report's table of provenance says which model it is of."""

import pytest
from omegaconf import OmegaConf

from cyclegan_audio.config import compose
from cyclegan_audio.reports.evaluation.provenance import MAX_TEXT, describe_model, describe_start

SMALL = "generator ResnetGenerator (n_filters 16, n_blocks 6, upsampling transposed)"
NINE = "generator ResnetGenerator (n_filters 64, n_blocks 9, upsampling transposed)"


def model_settings(*overrides: str) -> object:
    return OmegaConf.to_container(compose("train", list(overrides)).model, resolve=True)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ((), "CycleGAN (the paper's)"),
        (("seed=7", "n_epochs=3", "acceleration.compile=true"), "CycleGAN (the paper's)"),
        (("experiment=paper_150",), "CycleGAN (the paper's)"),
        (("experiment=paper_exact",), "CycleGAN (the paper's)"),
        (("model.loss_weights.identity=0",), f"CycleGAN, {NINE}"),
        (("model.ema_decay=0.999",), f"CycleGAN, {NINE}"),
        (("discriminator=pixel",), f"CycleGAN, {NINE}"),
        (("model=cyclegan_resnet_small",), f"CycleGAN, {SMALL}"),
        (("model=cut",), f"CUT, {NINE}"),
    ],
)
def test_only_the_papers_model_is_named_so(overrides, text):
    assert describe_model(model_settings(*overrides)) == text


def test_a_file_that_keeps_only_a_part_is_described_by_it():
    settings = model_settings("model=cyclegan_resnet_small")
    assert isinstance(settings, dict)
    assert describe_model({"generator": settings["generator"]}) == SMALL
    assert describe_model(None) == describe_model({}) == describe_model([]) == "unknown"
    assert len(describe_model({"_target_": "x" * 10**6})) == MAX_TEXT


def test_what_a_model_began_with_is_named():
    assert describe_start(None) == "new networks"
    assert describe_start("demo_trap") == "the networks of demo_trap"
    assert len(describe_start(["x" * 10**6])) == MAX_TEXT
