"""Read settings, choices and their comments from `conf/` as text: help needs neither Hydra nor YAML."""

import re
from dataclasses import dataclass
from pathlib import Path

from cyclegan_audio.utils.paths import CONF_DIR

_LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s].*?))?(?: +# (?P<comment>.*))?$")
_DEFAULT = re.compile(r"^  - (?P<group>[\w/]+): (?P<choice>\w+)(?: +# (?P<comment>.*))?$")
_HYDRA_KEYS = ("defaults", "hydra")


@dataclass(frozen=True)
class Setting:
    """A setting in a file of `conf/`.

    Attributes:
        name: its dotted name within the file, such as `screening.voice.enabled`.
        default: its value as written in the file.
        comment: the comment on its line, or "".
    """

    name: str
    default: str
    comment: str

    @property
    def is_boolean(self) -> bool:
        """Return whether the default is true or false."""
        return self.default in ("true", "false")


@dataclass(frozen=True)
class Group:
    """A config group that a command reads.

    Attributes:
        name: the name of its folder in `conf/`.
        default: the default choice, or `null`.
        comment: the comment in the command's file, or "".
        choices: each choice with the first sentence of its file.
    """

    name: str
    default: str
    comment: str
    choices: dict[str, str]


def list_settings(path: Path) -> list[Setting]:
    """List the settings of a file of `conf/` in their order, without those of Hydra and `_target_`."""
    settings: list[Setting] = []
    parents: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        parents = [(depth, key) for depth, key in parents if depth < indent]
        names = [*(key for _, key in parents), match["key"]]
        if match["value"] is None:
            parents.append((indent, match["key"]))
        elif names[0] not in _HYDRA_KEYS and not match["key"].startswith("_"):
            settings.append(Setting(".".join(names), match["value"], match["comment"] or ""))
    return settings


def list_groups(verb: str) -> list[Group]:
    """List the groups in the defaults list of a command's file, in their order."""
    lines = (CONF_DIR / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()
    matches = [match for line in lines if (match := _DEFAULT.match(line))]
    return [Group(m["group"], m["choice"], m["comment"] or "", list_choices(m["group"])) for m in matches]


def list_choices(group: str) -> dict[str, str]:
    """List the choices of a group with the first sentence of their files, except files named after a verb."""
    verbs = {path.stem for path in CONF_DIR.glob("*.yaml")}
    files = sorted((CONF_DIR / group).glob("*.yaml"))
    return {file.stem: _first_sentence(file) for file in files if file.stem not in verbs}


def has_setting(group: str, choice: str, name: str) -> bool:
    """Return whether the file of a choice has a setting of this name."""
    return any(setting.name == name for setting in list_settings(CONF_DIR / group / f"{choice}.yaml"))


def find_setting(verb: str, name: str) -> Setting:
    """Find a setting of a command by its dotted name, in the command's file or in a file of a group.

    Raises:
        KeyError: no file has it.
    """
    files = [(CONF_DIR / f"{verb}.yaml", name)]
    for group in list_groups(verb):
        if name.startswith(f"{group.name}."):
            key = name.removeprefix(f"{group.name}.")
            default = CONF_DIR / group.name / f"{group.default}.yaml"
            others = sorted((CONF_DIR / group.name).rglob("*.yaml"))
            files += [(file, key) for file in (default, *others)]
    for file, key in files:
        for setting in list_settings(file):
            if setting.name == key:
                return Setting(name, setting.default, setting.comment)
    raise KeyError(name)


def _first_sentence(path: Path) -> str:
    """Return the first sentence of the comment at the top of a file."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            words.append(line.lstrip("# "))
    return re.split(r"(?<!al)\. ", " ".join(words))[0].removesuffix(".")
