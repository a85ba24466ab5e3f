"""Default values that command lines share with the functions behind them."""

DEFAULT_VOCODER = "hybrid"  # a file in conf/vocoder
HELD_OUT_CLIPS = 150  # of each genre; distances between distributions need that many
LISTENING_CLIPS, ABX_TRIALS = 3, 12  # clips of a direction; trials of a pair of systems
LISTENING_RUNS = 6  # maximum in one listening test
LISTENING_TEST = "listening_test"  # the folder of a listening test
APP_PORT = 7860  # of the page in the browser, as gradio's
RUNS = "runs"  # the folder of runs
