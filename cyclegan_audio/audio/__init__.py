"""Audio files and waveforms: decode, encode, resample, measure, and the mel-spectrogram."""
