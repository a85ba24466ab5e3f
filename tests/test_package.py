"""Public names of `import cyclegan_audio`, and that it imports nothing heavy."""

import subprocess
import sys
from importlib.resources import files

import cyclegan_audio

CODE = """
import sys
import cyclegan_audio
print(sorted({"torch", "numpy", "hydra", "cyclegan_audio.utils.errors"} & set(sys.modules)))
assert set(cyclegan_audio.__all__) <= set(dir(cyclegan_audio))
cyclegan_audio.UserError
print("torch" in sys.modules)
"""


def test_import_loads_nothing_heavy():
    output = subprocess.check_output([sys.executable, "-c", CODE], text=True)
    assert output.split("\n")[:2] == ["[]", "False"]


def test_public_names_exist():
    assert all(getattr(cyclegan_audio, name) is not None for name in cyclegan_audio.__all__)
    assert {"Translator", "UserError", "list_pretrained"} <= set(cyclegan_audio.__all__)
    assert not hasattr(cyclegan_audio, "Translater")


def test_the_package_is_typed():
    assert files("cyclegan_audio").joinpath("py.typed").is_file()
