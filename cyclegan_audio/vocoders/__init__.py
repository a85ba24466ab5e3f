"""Turn a mel-spectrogram back into a waveform: one module for each vocoder, named as in `conf/vocoder`."""

from cyclegan_audio.utils.defaults import DEFAULT_VOCODER as DEFAULT
from cyclegan_audio.vocoders.base import VOCODERS, Vocoder, VocoderInput, check_vocoder, make_vocoder

__all__ = ["DEFAULT", "VOCODERS", "Vocoder", "VocoderInput", "check_vocoder", "make_vocoder"]
