import pytest

from cyclegan_audio.training import loggers


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path / "netrc"


def offline(tmp_path) -> bool:
    return loggers.wandb_logger(str(tmp_path), "project", "name")._offline


def test_offline_unless_logged_in(nobody, tmp_path, monkeypatch):
    assert offline(tmp_path)
    nobody.write_text("machine elsewhere.org login user password secret\n")
    assert offline(tmp_path)
    nobody.write_text("machine api.wandb.ai login user password secret\n")
    assert not offline(tmp_path)
    nobody.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert not offline(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert offline(tmp_path)


def test_another_host(nobody, tmp_path, monkeypatch):
    nobody.write_text("machine wandb.lab.org login user password secret\n")
    assert offline(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.lab.org")
    assert not offline(tmp_path)


def test_a_resumed_run_keeps_its_id(tmp_path):
    first, again, other = (
        loggers.wandb_logger(str(tmp_path / run), "project", "name") for run in ("one", "one", "two")
    )
    assert first._wandb_init["id"] == again._wandb_init["id"] != other._wandb_init["id"]
    assert first._wandb_init["resume"] == "allow"
