"""CSV records: what is broken costs its own line, with its number, and no more."""

import pytest

from domain.tables import Record, Refusal, UnusableFile, records

COLUMNS = {"id": ("id", "store_id"), "name": ("name",)}


def read(data: bytes | str) -> list[Record | Refusal]:
    return list(records(data.encode() if isinstance(data, str) else data, COLUMNS, ("id", "name")))


def test_columns_are_found_by_any_of_their_names_in_any_order_and_case() -> None:
    assert read("\ufeffextra, Name ,STORE_ID\nx,One,1\n") == [Record(2, {"id": "1", "name": "One"})]


def test_lines_count_as_an_editor_counts_them() -> None:
    found = read('id,name\r\n\r\n1,"Two\nlines"\r\n2,Next\r\n')
    assert found == [Record(3, {"id": "1", "name": "Two lines"}), Record(5, {"id": "2", "name": "Next"})]


def test_a_quote_that_is_never_closed_costs_one_line() -> None:
    rows = "".join(f"{number},Name\n" for number in range(2, 40))
    found = read('id,name\n1,"Open\n' + rows)
    assert isinstance(found[0], Refusal)
    assert found[0].line == 2
    assert [record.line for record in found[1:] if isinstance(record, Record)] == list(range(3, 41))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,One,more", "3 fields where the header has 2"),
        (b"1", "1 fields where the header has 2"),
        (b"1,\xff\xfe", "not UTF-8"),
        (b"1,One\x00Two", "control character '\\x00'"),
        (b"1,One\x1b[31m", "control character '\\x1b'"),
        (b"1," + b"x" * 501, "a value is longer than 500 characters"),
        (b'1,"One"x', "broken CSV"),
    ],
)
def test_a_broken_line_is_refused_and_the_next_one_read(row: bytes, reason: str) -> None:
    refusal, good = read(b"id,name\n" + row + b"\n2,Two\n")
    assert isinstance(refusal, Refusal)
    assert refusal.line == 2
    assert refusal.reason.startswith(reason)
    assert good == Record(3, {"id": "2", "name": "Two"})


def test_what_stands_for_nothing_is_nothing() -> None:
    assert read("id,name\n1, N/A \n") == [Record(2, {"id": "1", "name": ""})]


def test_text_once_read_in_the_wrong_encoding_is_mended() -> None:
    assert read("id,name\n1,CafÃ© Centerâ\u20ac¢\u00c2\u00a0\n2,São José\n") == [
        Record(2, {"id": "1", "name": "Café Center•"}),
        Record(3, {"id": "2", "name": "São José"}),
    ]


@pytest.mark.parametrize("data", ["", "\n\n", "name\nOne\n", 'id,"name\n', "<html>\n", "\x00\x01\x02"])
def test_without_a_header_nothing_can_be_read(data: str) -> None:
    with pytest.raises(UnusableFile):
        read(data)
