"""Opaque ids: one spelling for one thing, and nothing else is an id."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from domain import ids
from domain.ids import SlotKey

KINDS = st.sampled_from(sorted(ids.NODE_KINDS))
KEYS = st.integers(1, 2**63 - 1)


def slots() -> st.SearchStrategy[SlotKey]:
    parts = st.integers(0, 2**48 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)
    times = st.builds(SlotKey, *parts, st.integers(0, 121_000_000))
    return times | st.builds(SlotKey, *parts, st.none(), st.integers(0, 2**48 - 1))


@given(KINDS, KEYS, KINDS)
def test_a_node_id_comes_back_as_its_key_and_only_under_its_kind(kind: str, key: int, other: str) -> None:
    node = ids.node(kind, key)
    assert ids.key(node, other) == (key if other == kind else None)
    assert ids.kind_of(node) == kind
    assert ids.slot(node) is None


@given(slots())
def test_a_slot_id_comes_back_as_what_it_names(slot: SlotKey) -> None:
    text = str(slot)
    assert ids.slot(text) == slot
    assert ids.kind_of(text) == (ids.SLOT if slot.opening_id is None else ids.OPENING_SLOT)
    assert all(ids.key(text, kind) is None for kind in ids.NODE_KINDS)
    assert text.isascii()
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=")


@given(slots(), slots())
def test_different_slots_have_different_ids(one: SlotKey, other: SlotKey) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(st.text() | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_no_id_or_the_only_spelling_of_one(text: str) -> None:
    slot = ids.slot(text)
    assert slot is None or str(slot) == text
    for kind in ids.NODE_KINDS:
        key = ids.key(text, kind)
        assert key is None or ids.node(kind, key) == text
    ids.kind_of(text)


@given(slots(), st.data())
def test_a_letter_changed_is_another_id_or_none(slot: SlotKey, data: st.DataObject) -> None:
    text = str(slot)
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.sampled_from("Aa0-_=+/ \n")) + text[place + 1 :]
    assert other == text or ids.slot(other) != slot
