"""Names from files are printed with visible escapes, and commands with them can still be pasted."""

import io
import logging
import subprocess

import pytest
from rich.console import Console

from cyclegan_audio.utils.printing import echo, get_logger, printable, shell_quote, text_table

BIDI = "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C)))
ESCAPES = {
    "\x1b[2J": r"\x1b[2J",
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x9b2J": r"\x9b2J",
    "a\r\nb\tc\x00": r"a\r\nb\tc\x00",
    "\u202eevil": r"\u202eevil",
    "line\u2028end": r"line\u2028end",
    "\udcff\ud800": r"\xff\ud800",
}
PLAIN = ("Étude 100% & <b>", "שלום", "می\u200cشود", "👩\u200d🎤", "音楽\u3000一", "back\\slash")


@pytest.mark.parametrize(("text", "escaped"), ESCAPES.items())
def test_control_characters_are_escaped(text, escaped):
    assert printable(text) == escaped


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_of_any_script_stays(text):
    assert printable(text) == text


def test_all_control_characters_and_bidi_controls_are_escaped():
    for character in (*map(chr, range(32)), *map(chr, range(127, 160)), *BIDI):
        assert printable(character).isascii()
        assert printable(character).isprintable()


@pytest.mark.parametrize("text", [*ESCAPES, *PLAIN, "it's", "$HOME `ls`", "\x1b'\\1f\x1b1f", ""])
def test_a_shell_reads_quoted_arguments_as_they_are(text):
    if "\x00" in text or "\ud800" in text:
        pytest.skip("no argument of a process holds it")
    quoted = shell_quote(text)
    assert printable(quoted) == quoted
    shown = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout
    assert shown == text.encode("utf-8", "surrogateescape")


def test_echo_prints_one_line_for_each_argument(capsys):
    echo("first\nname", "second")
    echo()
    assert capsys.readouterr().out == "first\\nname\nsecond\n"


def test_echo_prints_on_a_terminal_that_cannot_encode_the_text():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    echo("🎹 \udcff", file=stream)
    stream.flush()
    assert stream.buffer.getvalue() == b"\\U0001f3b9 \\xff\n"


def test_log_messages_are_escaped_once(caplog):
    with caplog.at_level(logging.WARNING):
        get_logger("some.module").warning("%s is left out", "\x1b[2J%s")
        get_logger("some.module").warning("100 %")
    assert caplog.messages == [r"\x1b[2J%s is left out", "100 %"]


def test_tables_have_no_markup_and_no_control_characters():
    stream = io.StringIO()
    Console(file=stream, width=80).print(text_table("Title", ["[red]a[/nope]", "b"], [["\x1b[2J", "[x]"]]))
    shown = stream.getvalue()
    assert "\x1b" not in shown
    for text in ("[red]a[/nope]", r"\x1b[2J", "[x]", "Title"):
        assert text in shown
