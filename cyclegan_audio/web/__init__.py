"""The web page of `cyclegan-audio app`: translate songs, train pairs, and read reports in a browser."""
