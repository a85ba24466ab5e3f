"""Read and write audio files, measure and resample waveforms, compute mel-spectrograms."""
