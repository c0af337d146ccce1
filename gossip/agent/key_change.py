"""Requests a change of the gossip keys from all members, and reports their answers.

Serf's `keymanager.go` (serf-wire 5.7). A rotation is three changes: install the new key everywhere, use it
everywhere, remove the old one.
"""

from collections import Counter

from gossip.agent.driver import Driver
from gossip.agent.keys import LIST, QUERY_NAME
from gossip.agent.query_desk import QueryDesk
from gossip.errors import LocalProtocolError, RemoteProtocolError
from gossip.ipc.query_bodies import KeyReport
from gossip.serf.queries import QueryRequest
from gossip.wire.keyring import decode_base64
from gossip.wire.query_codec import KeyResponse, decode_key_response, encode_key_request


async def change_on_all(
    driver: Driver, desk: QueryDesk, operation: str, text: str = ""
) -> tuple[str, KeyReport]:
    """Ask every member to do `operation` with a base64 key; return the error, if any, and the report."""
    try:
        key = decode_base64(text)
    except ValueError:
        return "illegal base64 data at input byte 0", KeyReport()
    if operation != LIST and not key:
        return "no key given", KeyReport()
    nodes = driver.node.count_alive()
    request = QueryRequest(name=QUERY_NAME.format(operation=operation), payload=encode_key_request(key))
    try:
        answers = await desk.collect(request, nodes)
    except LocalProtocolError as error:
        return str(error), KeyReport(num_nodes=nodes)
    responses = {answer.origin: _read(answer.payload) for answer in answers}
    failure, report = _judge(responses, nodes)
    if operation == LIST:
        counts = Counter(key for response in responses.values() for key in response.keys)
        report = report._replace(keys=counts)
    return failure, report


def _read(payload: bytes) -> KeyResponse:
    try:
        return decode_key_response(payload)
    except RemoteProtocolError as error:
        return KeyResponse(result=False, message=f"failed to decode key query response: {error}")


def _judge(responses: dict[str, KeyResponse], nodes: int) -> tuple[str, KeyReport]:
    failures = sum(not response.result for response in responses.values())
    report = KeyReport(
        messages={name: response.message for name, response in responses.items() if response.message},
        num_nodes=nodes,
        num_err=failures,
        num_resp=len(responses),
    )
    if failures:
        return f"{failures}/{nodes} nodes reported failure", report
    if len(responses) != nodes:
        return f"{len(responses)}/{nodes} nodes reported success", report
    return "", report
