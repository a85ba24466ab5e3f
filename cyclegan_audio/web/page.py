"""The page: a title, and a tab for each thing to do."""

import gradio as gr

from cyclegan_audio.web.runs_tab import RunsTab
from cyclegan_audio.web.state import CHECK_S, MAX_AGE_S, PageState
from cyclegan_audio.web.train_tab import TrainTab
from cyclegan_audio.web.translate_tab import TranslateTab

TITLE = "cyclegan-audio"
SENTENCE = (
    "Turn a song of one genre into another, hear it before and after, and train a pair on your own music."
)


def build_page(state: PageState) -> gr.Blocks:
    """Build gradio's page."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(CHECK_S, MAX_AGE_S)) as blocks:
        gr.Markdown(f"# {TITLE}\n\n{SENTENCE}", elem_id="title")
        with gr.Tabs():
            for tab in (TranslateTab(state, blocks), TrainTab(state, blocks), RunsTab(state, blocks)):
                tab.build()

        def end_session(request: gr.Request) -> None:
            state.end_session(request.session_hash)

        blocks.unload(end_session)
    return blocks
