"""From a song to a translated song, streamed at bounded memory."""
