"""What a body of seed 000 may be: the order of the checks, and numbers that stay as they are."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.api.allocating import UNREADABLE, is_refused
from tests.api.asking import JSON
from tests.api.doubles import Behind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", UNREADABLE),
        (b"{", UNREADABLE),
        (b"[]", UNREADABLE),
        (b"null", UNREADABLE),
        (b'"text"', UNREADABLE),
        (b'{"user_id":"1","user_id":"1","@":{"a":100}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":50,"a":50}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":NaN}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":1e999}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":"100"}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":100,"b":null}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":100,"b":false}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":{"b":100}}}', UNREADABLE),
        (b'{"user_id":"1","@":{"":100}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a\\u0000":100}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":99.999999999,"b":0.000000001}}', UNREADABLE),
        (b'{"user_id":"1","@":{"a":1000000000000000}}', UNREADABLE),
        (b'{"user_id":"1","@":[["a",100]]}', UNREADABLE),
        (b'{"user_id":1,"@":{"a":100}}', UNREADABLE),
        (b'{"user_id":"a b","@":{"a":100}}', UNREADABLE),
        (b'{"user_id":"..","@":{"a":100}}', UNREADABLE),
        (b'{"user_id":null,"@":{"a":"x"}}', UNREADABLE),
        (b'{"@":{"a":1}}', "userId is required"),
        (b'{"user_id":null}', "userId is required"),
        (b'{"user_id":"","@":{"a":-1}}', "userId is required"),
        (b'{"user_id":"1"}', "allocation is required"),
        (b'{"user_id":"1","@":null}', "allocation is required"),
        (b'{"user_id":"1","@":{}}', "allocation is required"),
        (b'{"user_id":"1","@":{"a":-1,"b":99}}', "allocation percentages cannot be negative"),
        (b'{"user_id":"1","@":{"a":0}}', "allocation percentages must sum to 100"),
        (b'{"user_id":"1","@":{"a":33.3,"b":33.3,"c":33.3}}', "allocation percentages must sum to 100"),
        (b'{"user_id":"1","@":{"a":100.00000001}}', "allocation percentages must sum to 100"),
    ],
)
@pytest.mark.parametrize(("path", "member"), [("/portfolio", "allocation"), ("/rebalance", "new_allocation")])
async def test_the_checks_have_the_contract_s_order(
    client: httpx2.AsyncClient, behind: Behind, path: str, member: str, body: bytes, message: str
) -> None:
    is_refused(await client.post(path, content=body.replace(b"@", member.encode()), headers=JSON), 400, message)
    assert behind.log.events == []


@pytest.mark.parametrize("basis", ["", "Target", "drift", 1, None, ["target"]])
async def test_a_basis_that_is_not_known_is_refused_where_there_is_one(
    client: httpx2.AsyncClient, basis: object
) -> None:
    asked = {"allocation": {"a": 100}, "new_allocation": {"a": 100}, "basis": basis}
    is_refused(await client.post("/rebalance", json=asked), 400, UNREADABLE)
    assert (await client.post("/portfolio", json={"user_id": "1", **asked})).status_code == 201


@pytest.mark.parametrize(
    ("percents", "shown"),
    [
        ('{"a":33.3,"b":33.3,"c":33.4}', '{"a":33.3,"b":33.3,"c":33.4}'),
        ('{"c":31.6,"a":29.2,"b":39.2}', '{"c":31.6,"a":29.2,"b":39.2}'),
        ('{"b":39.20,"c":3.16e1,"a":29.2000000000}', '{"b":39.2,"c":31.6,"a":29.2}'),
        ('{"x":1e2,"y":-0,"z":0E-30}', '{"x":100,"y":0,"z":0}'),
        ('{"ü☂":99.99999999,"b":0.00000001}', '{"ü☂":99.99999999,"b":0.00000001}'),
    ],
)
async def test_numbers_are_exact(client: httpx2.AsyncClient, percents: str, shown: str) -> None:
    body = f'{{"user_id":"1","allocation":{percents}}}'.encode()
    answer = await client.post("/portfolio", content=body, headers=JSON)
    assert answer.status_code == 201
    assert f'"allocation":{shown}}},"message"' in answer.text
    stored = json.dumps({name: part for name, part in json.loads(shown).items() if part}, ensure_ascii=False)
    read = (await client.get("/portfolio/1")).text
    assert json.loads(read)["data"]["allocation"] == json.loads(stored)
    assert "E" not in read.partition("allocation")[2].partition("}")[0]
