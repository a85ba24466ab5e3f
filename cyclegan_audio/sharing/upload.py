"""Upload of the folder of a pair to the Hugging Face Hub."""

from pathlib import Path
from typing import Any

from cyclegan_audio.inference.hub import LOGIN, PREFIX, UnreachableError, hub_client, model_info, one_line
from cyclegan_audio.inference.translation_model import PAIR_FILE
from cyclegan_audio.utils.errors import UserError

HEAD_FILES = {".gitattributes", "README.md"}  # of a new, empty repository
OLD_FILES = ["gen_*.safetensors", "picture.*", "sounds/*"]  # of an earlier version of the pair, deleted


def check_login() -> None:
    """Check that uploads are possible at all, before any work.

    Raises:
        UserError: huggingface_hub is not installed, or there is no token.
    """
    if not hub_client("sharing needs").get_token():
        raise UserError(f"sharing needs a token of the Hub that may write; run: {LOGIN} (or set HF_TOKEN)")


def upload(folder: Path, name: str, private: bool) -> tuple[str, str]:
    """Upload a folder to the model OWNER/NAME, which is created if it does not exist.

    Args:
        folder: the folder of a pair.
        name: OWNER/NAME.
        private: whether a new model is private.

    Returns:
        The address of its page, and the commit.

    Raises:
        UserError: no access, no network, or the model exists and is no pair, or is public but `private`.
    """
    api = hub_client("sharing needs").HfApi()
    _check_target(name, private)
    with one_line(f"{PREFIX}{name}"):
        address = api.create_repo(name, private=private, exist_ok=True)
        commit: Any = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message="Share a pair of cyclegan_audio",
            delete_patterns=OLD_FILES,
        )
    return str(address), str(commit.oid)


def _check_target(name: str, private: bool) -> None:
    """Check that a model of that name is a pair, if there is one, and private where that is wanted.

    Raises:
        UserError: it is another model, or public.
    """
    try:
        info = model_info(name, None, f"{PREFIX}{name}")
    except UnreachableError:
        raise
    except UserError:  # there is none yet, or creating it will say why not
        return
    files = {file.rfilename for file in info.siblings or []}
    if PAIR_FILE not in files and files - HEAD_FILES:
        raise UserError(f"{name} exists and is another kind of model; choose another name")
    if private and not info.private:
        raise UserError(f"{name} exists and is public; leave out --private, or choose another name")
