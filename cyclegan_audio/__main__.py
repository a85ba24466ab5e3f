"""Entry point of `python -m cyclegan_audio VERB ...`."""

from cyclegan_audio.cli.verbs import main

if __name__ == "__main__":
    main()
