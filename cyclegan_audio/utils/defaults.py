"""Defaults that command lines and the functions behind them share."""

VOCODER = "hybrid"  # a file in conf/vocoder
HELD_OUT_CLIPS = 150  # a genre: what distances between distributions need
LISTENING_CLIPS, ABX_TRIALS = 3, 12  # clips a direction; trials a pair of systems
LISTENING_RUNS = 6  # at most, in one listening test
LISTENING_TEST = "listening_test"  # the folder of a listening test
