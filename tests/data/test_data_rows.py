import csv
import io

import pytest
from annotations import jsonl, written
from hypothesis import given
from hypothesis import strategies as st

from paxion.data.json_rows import first_object, read_json, read_jsonl
from paxion.data.rows import BadRow, columns_of, read_columns
from paxion.records import PaxionError


def rows(found):
    return [(row.line, row.message) if isinstance(row, BadRow) else row for row in found]


def test_a_csv_is_read_by_column_whatever_its_marks(tmp_path):
    text = 'id,text\r\n1,"a, b ""c"""\r\n\r\n2,"two\r\nlines"\r\n3,plain "quote"\r\n'
    path = written(tmp_path / "a.csv", b"\xef\xbb\xbf" + text.encode())
    assert rows(read_columns(path, ("id", "text"))) == [
        (2, {"id": "1", "text": 'a, b "c"'}),
        (4, {"id": "2", "text": "two\r\nlines"}),
        (6, {"id": "3", "text": 'plain "quote"'}),
    ]


cell = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(table=st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=6))
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, table):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *table])
    path = written(tmp_path_factory.mktemp("csv") / "t.csv", out.getvalue().encode())
    assert [tuple(row.values()) for _, row in read_columns(path)] == table


@given(content=st.binary(max_size=200) | st.text('a",\t\n;', max_size=60).map(str.encode))
def test_any_bytes_are_rows_bad_rows_or_one_error(tmp_path_factory, content):
    path = written(tmp_path_factory.mktemp("any") / "t", content)
    for read in (read_columns, read_jsonl, read_json, first_object, columns_of):
        try:
            for row in read(path) or ():
                assert row is not None
        except PaxionError as error:
            assert "\n" not in str(error).replace(str(path), "")


def test_a_stray_quote_costs_its_own_row_only(tmp_path):
    path = written(tmp_path / "a.csv", 'id,text\n1,"open\n2,b\n3,c\n4,"x" y\n5,"also open\n')
    found = rows(read_columns(path))
    assert [row for line, row in found if isinstance(row, dict)] == [{"id": "2", "text": "b"}, {"id": "3", "text": "c"}]
    assert [line for line, row in found if "quoted cell that cannot be read" in row] == [2, 5, 6]


def test_two_stray_quotes_do_not_hide_the_rows_between(tmp_path):
    path = written(tmp_path / "a.csv", 'id,text\n1,"open\n2,b\n3,closed",x\n4,d\n')
    found = rows(read_columns(path))
    assert (2, "got 3 columns up to line 4, expected 2") in found
    assert (3, {"id": "2", "text": "b"}) in found and (5, {"id": "4", "text": "d"}) in found


def test_in_a_tab_separated_file_a_line_is_a_row(tmp_path):
    # The last column has no name, as in EgoClip; a row may or may not have its tab.
    path = written(tmp_path / "a.tsv", 'id\ttext\t\r\n1\t"quoted ""so"""\t\r\n2\t"open\r\n3\ta\tb\r\n4\r\n')
    assert rows(read_columns(path)) == [
        (2, {"id": "1", "text": 'quoted "so"'}),
        (3, {"id": "2", "text": '"open'}),
        (4, "got 3 columns, expected 2"),
        (5, "got 1 columns, expected 2"),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_bytes_that_are_not_utf8_cost_their_row_only(tmp_path, end):
    for name, lines, good in [
        ("a.csv", [b"id,text", b"1,caf\xe9", b'2,"ok"'], {"id": "2", "text": "ok"}),
        ("a.tsv", [b"id\ttext", b"1\tcaf\xe9", b"2\tok"], {"id": "2", "text": "ok"}),
    ]:
        found = rows(read_columns(written(tmp_path / name, end.join(lines))))
        assert found == [(2, "got bytes that are not UTF-8 (byte 6 of the line)"), (3, good)]
    lines = [b'{"id": "caf\xe9"}', b'{"id": "b"}']
    assert rows(read_jsonl(written(tmp_path / "a.jsonl", end.join(lines))))[1:] == [(2, {"id": "b"})]
    found = rows(read_json(written(tmp_path / "a.json", b"[" + (b"," + end).join(lines) + b"]")))
    assert found[0][1].startswith("got text with bytes or escapes that are not Unicode")
    assert found[1] == (2, {"id": "b"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "empty line, expected a header"),
        (b"id,caption\n", "has a header (id, caption) but no rows"),
        (b"id,name\n1,a\n", "the column 'caption' nowhere, expected it once; it has the columns id, name"),
        (b"caption,caption\n1,a\n", "the column 'caption' twice"),
        ("id,caption\n1,a\n".encode("utf-16"), "not UTF-8, expected a header"),
    ],
)
def test_a_file_that_is_no_table_is_one_error(tmp_path, content, message):
    with pytest.raises(PaxionError) as error:
        list(read_columns(written(tmp_path / "a.csv", content), ("caption",)))
    assert message in str(error.value)


def test_a_file_that_cannot_be_opened_is_one_error(tmp_path):
    for read in (read_columns, read_jsonl, read_json):
        with pytest.raises(PaxionError, match="No such file"):
            list(read(tmp_path / "none"))
        with pytest.raises(PaxionError, match="Is a directory"):
            list(read(tmp_path))


def test_bad_lines_of_jsonl_cost_their_row_only(tmp_path):
    deep = "[" * 100_000
    path = jsonl(
        tmp_path / "a.jsonl",
        *('{"id": 1, "x": NaN}', "{", "[1]", "", '{"id": 1, "id": 2}', r'{"id": "\ud800"}', r'{"id": "😀"}'),
        *(f'{{"id": {deep}}}', '{"id": ' + "1" * 5000 + "}", '{"x": 1}'),
    )
    found = rows(read_jsonl(path, ("id",)))
    assert [line for line, row in found if isinstance(row, str)] == [2, 3, 5, 6, 8, 9, 10]
    good = [row for _, row in found if isinstance(row, dict)]
    assert good[0]["x"] != good[0]["x"] and good[1] == {"id": "😀"}
    messages = {line: row for line, row in found if isinstance(row, str)}
    assert messages[3] == "got a value that is no object (list), expected {...}"
    assert messages[5] == "got a field twice in one object, expected each once"
    assert messages[10] == "got no field id"


def test_json_values_have_the_line_on_which_they_start(tmp_path):
    path = written(tmp_path / "a.json", '\ufeff[\n {"id": 1},\n {"id":\n 2}, 3,\n {"id": 4}\n]\n')
    assert rows(read_json(path)) == [
        (2, {"id": 1}),
        (3, {"id": 2}),
        (4, "got a value that is no object (int), expected {...}"),
        (5, {"id": 4}),
    ]
    path = written(tmp_path / "b.json", '{\n "a": {"x": NaN}, "b":\n  {"x": 1},\n "a": {"x": 2}}')
    assert [(line, row["key"]) for line, row in read_json(path)] == [(2, "a"), (2, "b"), (4, "a")]
    assert list(read_json(written(tmp_path / "c.json", "[ {} ]"))) == [(1, {})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": 1},\n {"id": ', ":2: got no JSON"),
        ('[{"id": 1}\n {"id": 2}]', ":2: got '{\"id\": 2}]', expected ','"),
        ('[{"id": 1}', ":1: got the end of the file, expected ','"),
        ('[{"id": 1}]\n[]', ":2: got more text after the end"),
        ('{"a" 1}', ":1: got '1}', expected ':'"),
        ("{1: 2}", ":1: got '1: 2}', expected '\"'"),
        ("id,caption", "expected JSON"),
        ("[]", "is empty"),
        ('[{"a": 1}, {"b": 1}]', "lack the field id; it has the fields a"),
    ],
)
def test_a_broken_json_file_is_one_error_with_its_line(tmp_path, text, message):
    with pytest.raises(PaxionError) as error:
        list(read_json(written(tmp_path / "a.json", text), ("id",)))
    assert message in str(error.value)


def test_a_file_of_another_kind_is_told_early(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", *[{"name": "x"}] * 1000)
    seen = []
    with pytest.raises(PaxionError, match="lack the field caption; it has the fields name"):
        for row in read_jsonl(path, ("caption",)):
            seen.append(row)
    assert len(seen) == 20


def test_messages_about_fields_stay_on_one_line(tmp_path):
    for row in ({"a\nb\x1b[1m": 1}, {"x" * 50 + str(n): n for n in range(100)}):
        with pytest.raises(PaxionError) as error:
            list(read_jsonl(jsonl(tmp_path / "a.jsonl", row), ("caption",)))
        message = str(error.value).replace(str(tmp_path), "")
        assert message.isprintable() and len(message) < 400


def test_the_first_object_is_found_in_all_kinds_of_json(tmp_path):
    assert first_object(jsonl(tmp_path / "a.jsonl", "{", {"id": 1}, {"id": 2})) == {"id": 1}
    assert first_object(written(tmp_path / "b.json", [3, {"id": 1}])) == {"id": 1}
    keyed = {"k": {"id": 1}, "l": {"id": 2}}
    assert first_object(written(tmp_path / "c.json", keyed)) == {"id": 1, "key": "k"}
    assert first_object(jsonl(tmp_path / "d.json", keyed)) == {"id": 1}
    assert first_object(written(tmp_path / "e.json", [1, 2])) is None
