"""BigVGAN-v2, a published neural vocoder."""
