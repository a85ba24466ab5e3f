"""Tables of numbers: what is read, and one line for each kind of damage."""

import math

import pytest

from cyclegan_audio.utils.csv_table import MAX_COLUMNS, CSVTable
from cyclegan_audio.utils.errors import UserError

GOOD = b"batch,loss\r\n1,0.5\r\n2,\r\n3,nan\r\n"
DAMAGE = {
    b"batch,loss\n1,\xff\xfe\n": "line 2: not UTF-8 text",
    b"\x89PNG\r\n\x1a\n\0\0\0": "line 1: not UTF-8 text",
    b"batch,loss\n1,two\n": "line 2: column loss: 'two' is not a number",
    b"batch,loss\nx,2\n": "line 2: column batch: 'x' is not a number",
    b"batch,loss\nnan,2\n": "line 2: column batch: 'nan' is not a number",
    b"batch,loss\n1,\0\n": "line 2: column loss",
    b"loss\n1\n": "line 1: there is no column batch",
    b"batch;loss\n1;2\n": "line 1: there is no column batch",
    b"batch,batch\n1,2\n": "line 1: two columns have the same name",
    b"batch,loss\n1,2\n3\n4,5\n": "line 3: 1 columns instead of 2",
    b"batch,loss\n1,2,3\n": "line 2: 3 columns instead of 2",
    b'batch,loss\n1,"2\n3,4\n': "is no table",
    b"batch,loss\n1,2\rx\n": "is no table",
    b"\n\n": "line 1: 0 columns",
    b"a," * 1_000_000: "line 1: too long for a table",
    b",".join(b"%d" % i for i in range(MAX_COLUMNS + 1)): "line 1: 1001 columns",
}


def read(tmp_path, content: bytes) -> list[float]:
    path = tmp_path / "losses.csv"
    path.write_bytes(content)
    table = CSVTable(path, ("batch",))
    if not table.rows:
        return []
    assert len(table.numbers("batch")) == len(table.rows)
    return table.numbers("loss", allow_gaps=True)


@pytest.mark.parametrize("content", [GOOD, b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\r", b""), GOOD + b"4"])
def test_numbers_and_gaps_are_read(tmp_path, content):
    first, *rest = read(tmp_path, content)
    assert first == 0.5
    assert len(rest) == 2
    assert all(map(math.isnan, rest))


@pytest.mark.parametrize("content", [b"", b"batch,loss\n", b"batch,loss\n1"])
def test_a_table_without_rows_is_empty(tmp_path, content):
    assert read(tmp_path, content) == []


@pytest.mark.parametrize(("content", "problem"), DAMAGE.items(), ids=map(str, range(len(DAMAGE))))
def test_damage_is_one_line_that_names_the_file(tmp_path, content, problem):
    with pytest.raises(UserError) as refused:
        read(tmp_path, content)
    message = str(refused.value)
    assert message.startswith(str(tmp_path / "losses.csv"))
    assert problem in message
    assert message.endswith("; repair the file, or move it away")
    assert "\n" not in message


def test_a_folder_in_place_of_a_table_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        CSVTable(tmp_path)
