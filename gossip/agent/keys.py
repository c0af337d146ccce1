"""The gossip keys of a running agent: carries out the changes that Serf's key queries request.

Serf's `internal_query.go` (serf-wire 5.7). Each member writes its ring to its key file, if it has one;
`gossip.agent.key_change` requests changes from all members.
"""

import base64
import logging
from collections.abc import Callable
from pathlib import Path

from gossip.agent.driver import Driver
from gossip.agent.key_file import write_key_file
from gossip.agent.query_desk import QueryDesk
from gossip.errors import GossipError, LocalProtocolError, os_reason
from gossip.serf.queries import IncomingQuery
from gossip.wire.keyring import Keyring
from gossip.wire.query_codec import KeyResponse, decode_key_request, encode_key_response

INSTALL, USE, REMOVE, LIST = "install-key", "use-key", "remove-key", "list-keys"
QUERY_NAME = "_serf_{operation}"
NOT_ENCRYPTED = "No keyring to modify (encryption not enabled)"
NOTHING_TO_LIST = "Keyring is empty (encryption not enabled)"

log = logging.getLogger("gossip.agent")


class Keys:
    """The key ring of this agent, its file, and its part in key changes of the cluster."""

    def __init__(self, driver: Driver, desk: QueryDesk, path: Path | None) -> None:
        self._driver = driver
        self._desk = desk
        self._path = path
        desk.agents_own.append(self._answer)

    def _answer(self, query: IncomingQuery) -> None:
        """Carry out another member's request to the ring, and answer with the result."""
        operations: dict[str, Callable[[bytes], KeyResponse]] = {
            INSTALL: self._install,
            USE: self._use,
            REMOVE: self._remove,
            LIST: self._list,
        }
        operation = query.name.removeprefix(QUERY_NAME.format(operation=""))
        if operation not in operations:
            return
        try:
            response = operations[operation](decode_key_request(query.payload))
            if operation != LIST:
                log.info(
                    "keyring changed" if response.result else "keyring not changed",
                    extra={"operation": operation, "asked_by": query.source_node, "reason": response.message},
                )
            self._respond(query, response)
        except GossipError as error:
            log.warning(
                "cannot answer a key query", extra={"asked_by": query.source_node, "reason": str(error)}
            )

    def _respond(self, query: IncomingQuery, response: KeyResponse) -> None:
        """Send `response`; a list that is too long is cut, as in Serf."""
        total = len(response.keys)
        for shown in range(total, -1, -1):
            if shown < total:
                message = f"truncated key list response, showing first {shown} of {total} keys"
                response = KeyResponse(
                    result=response.result,
                    message=message,
                    keys=response.keys[:shown],
                    primary=response.primary,
                )
            try:
                self._desk.respond(query, encode_key_response(response))
            except LocalProtocolError as error:
                if shown == 0 or "exceeds limit" not in str(error):
                    raise
            else:
                return

    def _install(self, key: bytes) -> KeyResponse:
        return self._modify(lambda ring: ring.add(key))

    def _use(self, key: bytes) -> KeyResponse:
        return self._modify(lambda ring: ring.use(key))

    def _remove(self, key: bytes) -> KeyResponse:
        return self._modify(lambda ring: ring.remove(key))

    def _modify(self, change: Callable[[Keyring], None]) -> KeyResponse:
        ring = self._driver.keyring
        if ring is None:
            return KeyResponse(result=False, message=NOT_ENCRYPTED)
        try:
            change(ring)
        except LocalProtocolError as error:
            return KeyResponse(result=False, message=str(error))
        if self._path is None:
            return KeyResponse(result=True)
        try:
            write_key_file(self._path, ring)
        except OSError as error:
            reason = os_reason(error)
            log.warning("cannot write the key file", extra={"file": str(self._path), "reason": reason})
            return KeyResponse(
                result=True, message=f"changed until a restart: cannot write the key file: {reason}"
            )
        return KeyResponse(result=True)

    def _list(self, _key: bytes) -> KeyResponse:
        ring = self._driver.keyring
        if ring is None:
            return KeyResponse(result=False, message=NOTHING_TO_LIST)
        keys = tuple(base64.b64encode(key).decode() for key in ring.keys)
        return KeyResponse(result=True, keys=keys, primary=keys[0])
