"""The index in Elasticsearch: strict, versioned, in no moment absent, and made by nobody's careless write."""

from collections.abc import AsyncIterator
from dataclasses import fields, replace
from datetime import date
from random import Random

import pytest

from adapters.elasticsearch import documents
from adapters.elasticsearch.connection import ElasticsearchUnavailable, IndexMissing, OtherDocuments
from adapters.elasticsearch.index import MAPPING, Index
from domain.search import Document
from tests import search_oracle
from tests.adapters.elastic import EPOCH, a_target, an_index, filled
from tests.elasticsearch import Elasticsearch

ONE = replace(search_oracle.document(Random(1), 1, 2), listed=True, seq=5)


@pytest.fixture
async def index(elasticsearch: Elasticsearch) -> AsyncIterator[Index]:
    async with an_index(elasticsearch) as index:
        yield index


async def kept(index: Index) -> list[Document]:
    return [one async for some in index.everything() for one in some]


def test_a_document_comes_back_as_it_was() -> None:
    for number in range(50):
        one = search_oracle.document(Random(number), number, 3)
        assert documents.decoded(documents.encoded(one), one.seq) == one


def test_every_field_of_a_document_is_mapped_and_written() -> None:
    written = set(documents.encoded(ONE))
    mapped = MAPPING["mappings"]["properties"]
    copied = {field for one in mapped.values() for field in one.get("copy_to", ())}
    assert written | copied == set(mapped)
    assert copied == {"other_words", "every_word"}
    named = {one.name for one in fields(Document)} - {"provider_key", "clinic_key", "seq"}
    assert named <= written


async def test_older_documents_and_replays_change_nothing(index: Index) -> None:
    target = await filled(index, [ONE])
    assert await target.write(EPOCH, [replace(ONE, seq=4, name="older")]) == 0
    assert await target.write(EPOCH, [replace(ONE, name="as new")]) == 1
    assert await target.write(EPOCH, [replace(ONE, seq=6, name="newer")]) == 1
    assert await target.write(EPOCH, [ONE]) == 0
    assert [(one.seq, one.name) for one in await kept(index)] == [(6, "newer")]
    assert (await target.kept(EPOCH, [ONE.pair, (7, 7)]))[ONE.pair].seq == 6


async def test_what_is_of_another_epoch_is_not_written(index: Index) -> None:
    target = await filled(index, [ONE])
    other = "5d4f5a52-0000-4000-8000-000000000002"
    assert await target.write(other, [replace(ONE, seq=9)]) == 0
    assert await target.kept(other, [ONE.pair]) == {}
    with pytest.raises(OtherDocuments):
        await index.check(other)
    await index.check(EPOCH)


async def test_no_write_makes_an_index(index: Index) -> None:
    with pytest.raises(IndexMissing):
        await index.write([ONE])
    with pytest.raises(IndexMissing):
        await index.fill([ONE])
    assert await index.connection.ask("GET", f"/{index.alias}*/_alias") == {}
    assert await a_target(index).epoch() is None


async def test_a_field_that_is_not_mapped_is_refused(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(index, [])
    monkeypatch.setattr(documents, "encoded", lambda _one: {"provider": 1, "patient": "Ann"})
    with pytest.raises(ElasticsearchUnavailable, match="strict_dynamic_mapping"):
        await index.write([ONE])


async def test_what_is_written_while_another_is_built_is_in_it(index: Index) -> None:
    target = await filled(index, [ONE])
    late = replace(ONE, seq=8, name="late")
    async with target.renewing(EPOCH) as write:
        await target.write(EPOCH, [late])
        await write(EPOCH, [ONE])
        assert [one.name for one in await kept(index)] == ["late"]
    assert [one.name for one in await kept(index)] == ["late"]
    assert len(await index.connection.ask("GET", f"/{index.alias}-*/_alias")) == 1


async def test_an_index_that_is_missing_is_waited_for(index: Index) -> None:
    await filled(index, [ONE])
    patient = a_target(index, grace=60)
    assert await patient.epoch() == EPOCH
    await index.connection.ask("DELETE", f"/{(await index.meta()).name}")
    with pytest.raises(IndexMissing):
        await patient.epoch()


async def test_hints_of_days_gone_by_are_found(index: Index) -> None:
    days = {1: date(2026, 5, 4), 2: date(2026, 5, 9)}
    old, new = replace(ONE, next_days=days), replace(ONE, provider_key=3, next_days={1: date(2026, 5, 9)})
    unlisted = replace(old, provider_key=4, listed=False)
    target = await filled(index, [old, new, unlisted])
    assert await target.past(date(2026, 5, 5), [2], 10) == [old.pair]
    assert await target.past(date(2026, 5, 5), [3], 10) == []
    assert await target.past(date(2026, 5, 4), [2], 10) == []
