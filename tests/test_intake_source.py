"""Inputs are told by their content, read as lines, and their faults are named where they are."""

from __future__ import annotations

import gzip
import io
import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.intake.source import (
    BLOCK,
    LONGEST_LINE,
    BrokenSource,
    Source,
    SourceProblem,
    open_source,
)

TEXT = "".join(f"line {n} of the file, fürwahr\n" for n in range(1, 2001)).encode()


def opened(content: bytes) -> Source:
    return open_source("-", stdin=io.BytesIO(content))


def lines_of(content: bytes) -> list[str]:
    return list(opened(content).lines())


COMPRESSIONS = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "gzip in two members": lambda content: (
        gzip.compress(content[:99]) + gzip.compress(content[99:])
    ),
    "xz": lzma.compress,
    "xz in two streams": lambda content: lzma.compress(content[:99]) + lzma.compress(content[99:]),
}


@pytest.mark.parametrize("packed", COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_content_tells_the_compression_whatever_the_name(packed, tmp_path: Path) -> None:
    """A gzip or xz file is read as what it holds, under any name, from a file or a pipe."""
    for name in ("results.csv", "results.csv.gz", "results.xz"):
        (tmp_path / name).write_bytes(packed(TEXT))
        with open_source(str(tmp_path / name)) as source:
            assert "".join(source.lines()).encode() == TEXT
    assert "".join(lines_of(packed(TEXT))).encode() == TEXT


def test_the_name_without_its_compression_gives_stem_and_extension() -> None:
    """results.csv.gz is a .csv called results."""
    for path, told in {
        "in/results.csv.gz": ("results", ".csv"),
        "RESULTS.CSV": ("RESULTS", ".csv"),
        "feed.jsonl.xz": ("feed", ".jsonl"),
        "feed": ("feed", ""),
    }.items():
        source = Source(io.BytesIO(b""), path)
        assert (source.stem, source.extension) == told


def test_bytes_read_reach_the_size_of_the_file_as_it_lies_on_the_disk(tmp_path: Path) -> None:
    """Progress is counted in compressed bytes, whose total is known."""
    path = tmp_path / "results.csv.gz"
    path.write_bytes(gzip.compress(TEXT))
    with open_source(str(path)) as source:
        assert source.size == path.stat().st_size
        assert list(source.lines())
        assert source.bytes_read == source.size


def test_a_pipe_has_no_size() -> None:
    """Of what comes through a pipe no total is known."""
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo\n")
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        source = open_source("-", stdin=stream)
        assert source.size is None
        assert list(source.lines()) == ["one\n", "two\n"]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", ["\n"]),
        (b"one", ["one"]),
        (b"one\ntwo", ["one\n", "two"]),
        (b"one\r\ntwo\r\n", ["one\r\n", "two\r\n"]),
        (b"\xef\xbb\xbfone\n", ["one\n"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb", ["\udcef\udcbb"]),
        ("one\u2028two\x0bthree\x85\n".encode(), ["one\u2028two\x0bthree\x85\n"]),
    ],
    ids=repr,
)
def test_lines_end_at_line_feeds_alone(content: bytes, lines: list[str]) -> None:
    """A line ends at \\n and nowhere else; a byte order mark is no part of the first."""
    assert lines_of(content) == lines


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b""))), st.booleans())
def test_no_byte_is_lost_whatever_the_bytes(lines: list[bytes], ended: bool) -> None:
    """Every line is handed on, byte for byte, and each that is no sound text is named."""
    content = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    source = Source(io.BytesIO(b"#\n" + content), "any")
    read = list(source.lines())
    assert "".join(read).encode(errors="surrogateescape") == b"#\n" + content
    for number, line in enumerate(read, start=1):
        sound = "\0" not in line and not any("\udc80" <= c <= "\udcff" for c in line)
        assert sound == (number not in source.faults)


def test_a_line_that_is_not_utf8_is_named_with_its_byte_and_offset() -> None:
    """The fault says which byte, and where in the text; the lines around it are sound."""
    source = opened(b"\xef\xbb\xbfone\ncaf\xe9\nthree\n")
    assert list(source.lines()) == ["one\n", "caf\udce9\n", "three\n"]
    assert source.faults == {
        2: "is not UTF-8: byte 0xE9 at offset 10 of the text; save the file as UTF-8"
    }


def test_a_nul_byte_is_named_with_its_offset() -> None:
    """A NUL byte is no text: the line is named, the others are sound."""
    source = opened(b"one\nt\0wo\nthree\n")
    assert len(list(source.lines())) == 3
    assert source.faults == {2: "contains a NUL byte at offset 5 of the text"}


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + BLOCK * 3])
@pytest.mark.parametrize("before", [0, 7, BLOCK - 3])
def test_an_endless_line_is_passed_over_in_flat_memory(length: int, before: int) -> None:
    """A line longer than the limit is cut and named; what follows is read, at its own offset."""
    content = b"-" * before + b"\n" + b"x" * length + b"\n" + b"caf\xe9\n"
    source = opened(content)
    lines = list(source.lines())
    assert len(lines) == 3
    assert source.faults.pop(3).startswith(
        f"is not UTF-8: byte 0xE9 at offset {before + length + 5:,} "
    )
    if length < LONGEST_LINE:
        assert lines[1] == "x" * length + "\n"
        assert source.faults == {}
    else:
        assert len(lines[1]) < 1000
        assert source.faults == {
            2: f"is longer than {LONGEST_LINE:,} bytes; only its beginning is kept"
        }


@pytest.mark.parametrize("of", [b"x", b"\0", b'"', b" "])
def test_an_endless_line_may_be_the_last(of: bytes) -> None:
    """A file of one line without an end, such as a disk image, is one fault, and no empty line."""
    source = opened(of * (3 * LONGEST_LINE))
    (line,) = source.lines()
    assert line.strip()
    assert list(source.faults) == [1]


@pytest.mark.parametrize("kind", ["gzip", "xz"])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_broken_file_gives_its_whole_lines_first(kind: str, kept: float) -> None:
    """What comes before the break is handed out, whole lines only; then the problem names it."""
    noise = b"".join(b"%d,%x\n" % (n, n * 2654435761 % 2**32) for n in range(20_000))
    packed = COMPRESSIONS[kind](noise)
    source = opened(packed[: int(len(packed) * kept)])
    lines = []
    with pytest.raises(BrokenSource) as broken:
        lines.extend(source.lines())
    assert f"after line {len(lines):,}: Compressed file ended" in str(broken.value)


def test_a_damaged_file_is_told() -> None:
    """A gzip whose checksum is wrong has other content than it should."""
    packed = bytearray(gzip.compress(TEXT))
    packed[-8] ^= 1
    with pytest.raises(BrokenSource, match="standard input breaks off or is damaged after line"):
        lines_of(bytes(packed))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest", "a zip archive or a spreadsheet"),
        (b"BZh91AY&SY", "compressed with bzip2"),
        (b"\x28\xb5\x2f\xfd0000", "compressed with zstd"),
        ("candidate_id".encode("utf-16"), "UTF-16 text"),
        (b"SQLite format 3\x00", "an SQLite file"),
        (b"PAR1....", "a Parquet file"),
    ],
)
def test_what_is_recognised_but_not_read_is_said_so(content: bytes, kind: str) -> None:
    """A file of another kind is refused by its kind, and the sentence says what is read."""
    with pytest.raises(SourceProblem, match=f"input is {kind}: what is read here is UTF-8"):
        opened(content)


def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    """A missing file and a folder are told apart, by name."""
    with pytest.raises(SourceProblem, match=r"none\.csv: there is no such file"):
        open_source(str(tmp_path / "none.csv"))
    with pytest.raises(SourceProblem, match="is a folder: name the files in it"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "first"),
    [
        (b"", b""),
        (b" \n\t", b""),
        (b"\xef\xbb\xbf\n {", b"{"),
        (b"candidate_id,", b"candidate_id,"),
    ],
    ids=repr,
)
def test_looking_at_the_beginning_takes_nothing_away(content: bytes, first: bytes) -> None:
    """The first bytes can be looked at, and are still read."""
    source = opened(content)
    assert source.first_bytes() == first
    assert "".join(source.lines()) == content.decode().removeprefix("\ufeff")
