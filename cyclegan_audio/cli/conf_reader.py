"""Names, defaults and comments in the files of `conf/`, read as text: help needs neither Hydra nor YAML."""

import re
from dataclasses import dataclass
from pathlib import Path

from cyclegan_audio.utils.paths import CONF_DIR

_LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?: +(?P<value>[^#\s].*?))?(?: +# (?P<comment>.*))?$")
_DEFAULT = re.compile(r"^  - (?P<group>[\w/]+): (?P<choice>\w+)(?: +# (?P<comment>.*))?$")
_NOT_SETTINGS = ("defaults", "hydra")


@dataclass(frozen=True)
class Setting:
    """A line of a configuration file.

    Attributes:
        name: its dotted name within the file, such as `screening.voice.enabled`.
        default: the value as it is written there.
        comment: what stands behind it.
    """

    name: str
    default: str
    comment: str

    @property
    def is_switch(self) -> bool:
        """Whether its value is true or false."""
        return self.default in ("true", "false")


@dataclass(frozen=True)
class Group:
    """A group of choices that a command reads.

    Attributes:
        name: of the folder in `conf/`.
        default: the choice where none is named, or `null`.
        comment: what stands behind it in the command's file.
        choices: their names, each with the first sentence of its file.
    """

    name: str
    default: str
    comment: str
    choices: dict[str, str]


def settings_of(path: Path) -> list[Setting]:
    """List the settings in a file of `conf/`, in its order, without Hydra's own and `_target_`."""
    settings: list[Setting] = []
    above: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent = len(match["indent"])
        above = [(depth, key) for depth, key in above if depth < indent]
        names = [*(key for _, key in above), match["key"]]
        if match["value"] is None:
            above.append((indent, match["key"]))
        elif names[0] not in _NOT_SETTINGS and not match["key"].startswith("_"):
            settings.append(Setting(".".join(names), match["value"], match["comment"] or ""))
    return settings


def groups_of(verb: str) -> list[Group]:
    """List the groups in the defaults of a command's file, in its order."""
    lines = (CONF_DIR / f"{verb}.yaml").read_text(encoding="utf-8").splitlines()
    found = [match for line in lines if (match := _DEFAULT.match(line))]
    return [Group(m["group"], m["choice"], m["comment"] or "", choices_of(m["group"])) for m in found]


def choices_of(group: str) -> dict[str, str]:
    """List the choices of a group with what their files say; those for another command are left out."""
    verbs = {path.stem for path in CONF_DIR.glob("*.yaml")}
    files = sorted((CONF_DIR / group).glob("*.yaml"))
    return {file.stem: _summary(file) for file in files if file.stem not in verbs}


def has_setting(group: str, choice: str, name: str) -> bool:
    """Return whether the file of a choice has a setting of this name."""
    return any(one.name == name for one in settings_of(CONF_DIR / group / f"{choice}.yaml"))


def _summary(path: Path) -> str:
    """Return the first sentence of the comment on top of a file."""
    words: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            words.append(line.lstrip("# "))
    return re.split(r"(?<!al)\. ", " ".join(words))[0].removesuffix(".")


def setting(verb: str, name: str) -> Setting:
    """Find a setting of a command by its dotted name, in the command's file or in that of a group.

    Raises:
        KeyError: no file has it.
    """
    files = [(CONF_DIR / f"{verb}.yaml", name)]
    for group in groups_of(verb):
        if name.startswith(f"{group.name}."):
            rest = name.removeprefix(f"{group.name}.")
            own = CONF_DIR / group.name / f"{group.default}.yaml"
            others = sorted((CONF_DIR / group.name).rglob("*.yaml"))
            files += [(file, rest) for file in (own, *others)]
    for file, key in files:
        for found in settings_of(file):
            if found.name == key:
                return Setting(name, found.default, found.comment)
    raise KeyError(name)
