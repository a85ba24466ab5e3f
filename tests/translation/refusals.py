"""Run the translate command with input that it refuses."""

import pytest

from cyclegan_audio import translate


def refused(capsys, *arguments: object) -> str:
    """Return the error line that the command prints as it exits with 2."""
    with pytest.raises(SystemExit) as caught:
        translate.main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert not any("Traceback" in line for line in lines)
    return lines[-1]
