"""Serve the page with the smallest model in the list of models to train, for tests in a browser.

python -m tests.web.tiny_page RUNS PORT
"""

import sys

from cyclegan_audio.cli.error_reporting import handle_user_errors
from cyclegan_audio.web.server import serve

TINY = (
    "model=cyclegan_resnet_small", "model.generator.n_filters=4", "model.generator.n_blocks=1",
    "model.discriminator.n_filters=4", "data.crop_frames=32", "callbacks.previews.clips=1",
    "callbacks.previews.every_epochs=1", "callbacks.loss_log.every_batches=1", "precision=32-true",
    "threads=1",
)  # fmt: skip


@handle_user_errors("app")
def main() -> None:
    """Serve the page until SIGTERM."""
    from cyclegan_audio.web import training

    training.SIZES["Tiny, for tests"] = TINY
    serve(sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    main()
