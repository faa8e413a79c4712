"""word2vec's formats: what is written is read back, and what is damaged is refused in a sentence."""

import struct

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold as tw
from twofold.data.vocabulary import Vocabulary
from twofold.errors import DataError, IncompatibleFileError, UnknownIdError

TOKENS = ["cat", "naïve", "東京", "42"]
VECTORS = np.array([[1, -2.5, 1e-7], [0.1, 3, 4], [0, 0, 0], [-1e30, 2, 1 / 3]], np.float32)


def vectors():
    return tw.Vectors(Vocabulary(pl.Series(TOKENS)), VECTORS)


def good(binary):
    head = b"4 3\n"
    if binary:
        return head + b"".join(
            token.encode() + b" " + row.tobytes() + b"\n"
            for token, row in zip(TOKENS, VECTORS, strict=True)
        )
    rows = (
        f"{t} {' '.join(map(repr, v.tolist()))}\n" for t, v in zip(TOKENS, VECTORS, strict=True)
    )
    return head + "".join(rows).encode()


@pytest.mark.parametrize("binary", [False, True])
def test_what_is_written_is_the_format_and_reads_back_bit_for_bit(tmp_path, binary):
    path = vectors().to_word2vec(tmp_path / "v", binary=binary)
    assert path.read_bytes() == good(binary)
    again = tw.read_word2vec(path)
    assert again.tokens.ids.to_list() == TOKENS
    np.testing.assert_array_equal(again.vectors, VECTORS)
    assert again.vectors.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        again.vectors[0, 0] = 1


@pytest.mark.parametrize("binary", [False, True])
def test_a_byte_order_mark_is_passed_over(tmp_path, binary):
    (tmp_path / "v").write_bytes(b"\xef\xbb\xbf" + good(binary))
    again = tw.read_word2vec(tmp_path / "v")
    assert again.tokens.ids.to_list() == TOKENS
    np.testing.assert_array_equal(again.vectors, VECTORS)


def test_a_binary_file_without_newlines_between_rows_is_read(tmp_path):
    (tmp_path / "v").write_bytes(
        b"2 2\na " + struct.pack("<2f", 1, 2) + b"b " + struct.pack("<2f", 3, 4)
    )
    np.testing.assert_array_equal(tw.read_word2vec(tmp_path / "v").vectors, [[1, 2], [3, 4]])


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1), min_size=1, unique=True),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None)
def test_any_tokens_and_numbers_come_back(tmp_path_factory, tokens, d, binary, seed):
    bits = np.random.default_rng(seed).integers(0, 2**32, (len(tokens), d), np.uint32)
    given_ = bits.view(np.float32)
    given_ = np.where(np.isfinite(given_), given_, np.float32(1))
    path = tmp_path_factory.mktemp("w") / "v"
    tw.Vectors(Vocabulary(pl.Series(tokens)), given_).to_word2vec(path, binary=binary)
    again = tw.read_word2vec(path)
    assert again.tokens.ids.to_list() == tokens
    np.testing.assert_array_equal(again.vectors.view(np.uint32), given_.view(np.uint32))


@pytest.mark.parametrize("binary", [False, True])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, binary):
    whole = good(binary)
    for end in range(len(whole) - binary):
        (tmp_path / "v").write_bytes(whole[:end])
        with pytest.raises(IncompatibleFileError) as refused:
            tw.read_word2vec(tmp_path / "v")
        assert "\n" not in str(refused.value)


NAN = struct.pack("<f", float("nan"))
BAD = {
    "no header": (b"cat 1 2 3\ndog 1 2 3\n", "two counts"),
    "empty": (b"", "two counts"),
    "words in the header": (b"four 3\ncat 1 2 3\n", "two counts"),
    "negative counts": (b"-1 3\ncat 1 2 3\n", "two counts"),
    "no dimensions": (b"1 0\ncat\n", "at least 1"),
    "more rows announced": (b"3 3\ncat 1 2 3\ndog 1 2 3\n", "3 vectors"),
    "fewer rows announced": (b"1 3\ncat 1 2 3\ndog 1 2 3\n", "1 vectors"),
    "more numbers announced": (b"2 4\ncat 1 2 3 \ndog 1 2 3 \n", "row 1"),
    "huge counts": (b"99999999999 300\ncat 1 2 3\n", "too few"),
    "a token with a space": (b"2 3\ncat 1 2 3\nnew york 1 2 3\n", "row 2"),
    "no number": (b"2 3\ncat 1 2 3\ndog 1 x 3\n", "no number"),
    "decimal commas": (b"2 3\ncat 0,1 2 3\ndog 1 2,5 3\n", "row 1 .'cat'., has '0,1'.*with a point"),
    "NaN in text": (b"2 3\ncat 1 2 3\ndog 1 nan 3\n", "not finite.*'dog'"),
    "too large for float32": (b"2 3\ncat 1 2 3\ndog 1 1e99 3\n", "not finite.*'dog'"),
    "no UTF-8 in text": (b"2 3\ncat 1 2 3\n\xff\xfe 1 2 3\n", "UTF-8"),
    "a token twice": (b"2 3\ncat 1 2 3\ncat 1 2 3\n", "rows 1 and 2"),
    "a blank line": (b"2 3\ncat 1 2 3\n\ndog 1 2 3\n", "row 2, is a blank line"),
    "gzip": (b"\x1f\x8b\x08\x00\n", "gunzip"),
    "NaN in binary": (b"1 1\ncat " + NAN + b"\n", "not finite"),
    "no UTF-8 in binary": (b"1 2\n\xff\xfe " + struct.pack("<2f", 1, 2), "UTF-8"),
    "more bytes than announced": (b"1 2\na " + struct.pack("<2f", 1, 2) + b"\nb " + struct.pack("<2f", 1, 2), "after the 1"),
}  # fmt: skip


def test_blank_lines_at_the_end_are_passed_over(tmp_path):
    (tmp_path / "v").write_bytes(b"1 2\ncat 1 2\n\n \n")
    assert tw.read_word2vec(tmp_path / "v").tokens.ids.to_list() == ["cat"]


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, case):
    raw, said = BAD[case]
    (tmp_path / "v").write_bytes(raw)
    with pytest.raises(IncompatibleFileError, match=said) as refused:
        tw.read_word2vec(tmp_path / "v")
    assert "\n" not in str(refused.value)


def test_no_file_and_a_file_in_place_of_a_folder_are_a_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        tw.read_word2vec(tmp_path / "none")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match="cannot write"):
        vectors().to_word2vec(tmp_path / "file" / "v")
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.parametrize("token", ["new york", "", "a\tb", "a\u00a0b", "a\n"])
def test_a_token_that_the_format_cannot_hold_is_refused_before_anything_is_written(tmp_path, token):
    one = tw.Vectors(Vocabulary(pl.Series(["fine", token])), np.ones((2, 2), np.float32))
    with pytest.raises(DataError, match="white space"):
        one.to_word2vec(tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_vectors_are_asked_by_token():
    found = vectors()
    assert len(found) == 4
    assert "cat" in found
    assert 42 in found
    assert "dog" not in found
    assert None not in found
    np.testing.assert_array_equal(found["naïve"], VECTORS[1])
    np.testing.assert_allclose(np.linalg.norm(found.unit, axis=1), [1, 1, 0, 1], rtol=1e-6)
    assert found.similar("cat", k=9)["item"].to_list()[-1] in TOKENS
    with pytest.raises(UnknownIdError, match=r"token 'cats'.*'cat'"):
        found["cats"]
    with pytest.raises(DataError, match="4 rows"):
        tw.Vectors(found.tokens, VECTORS[:2])
