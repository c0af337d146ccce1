"""A blocking IPC client: the conversation of `protocol` over a socket (serf-wire 6).

Works against our agent and against Serf's. Imports neither Trio nor msgspec, so that a command with one
question starts and ends within milliseconds.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from gossip.errors import GossipError, RemoteProtocolError
from gossip.ipc.address import AgentAddress, UnixAddress, parse_agent_address
from gossip.ipc.bodies import (
    Auth,
    ForceLeave,
    Handshake,
    Join,
    JoinCount,
    Member,
    MemberFilter,
    MemberList,
    MonitorLevel,
    RequestBody,
    ResponseBody,
    Stats,
    Stop,
    StreamFilter,
    TagChange,
)
from gossip.ipc.case_bodies import Explain, Explanation
from gossip.ipc.coordinate_bodies import FoundCoordinate, GetCoordinate
from gossip.ipc.doctor_bodies import Diagnosis
from gossip.ipc.protocol import (
    CHUNK_BYTES,
    IPC_VERSION,
    ClientConversation,
    Command,
    Pushed,
    Response,
)
from gossip.ipc.query_bodies import (
    KeyChange,
    KeyReport,
    QueryRecord,
    SendEvent,
    SendQuery,
    SendResponse,
)

Body = TypeVar("Body", bound=ResponseBody)


class Timeouts(NamedTuple):
    """How long to wait, in seconds. `None` waits forever, as Serf's client does for every answer."""

    connect: float = 10.0
    write: float = 10.0
    answer: float | None = 10.0
    """For answers from the agent's memory; joins, leaves and tag changes have no limit."""


DEFAULT_TIMEOUTS = Timeouts()
MAX_EARLY_RECORDS = 1024
"""Records kept while waiting for an answer; the oldest are dropped. An agent's own queue holds 512."""


class AgentUnreachableError(GossipError):
    """Nothing answers at the address, or the connection broke; the text has the address and the reason."""


class AgentClosedError(AgentUnreachableError):
    """The agent closed the connection instead of answering."""


class CommandRefusedError(GossipError):
    """The agent answered with an error; the text is the agent's and may hold any characters."""


class KeyChangeError(CommandRefusedError):
    """A change of keys did not reach every member; `report` has the answer of each."""

    def __init__(self, text: str, report: KeyReport) -> None:
        super().__init__(text)
        self.report = report


class Client:
    """One authenticated connection to an agent; a context manager that closes it.

    After `AgentUnreachableError` or `RemoteProtocolError` it cannot be used any more. After
    `CommandRefusedError` it can, unless the agent closed it.
    """

    def __init__(self, address: str, *, auth_key: str = "", timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        """Connect to the agent at `address` and shake hands; authenticate if there is an `auth_key`.

        Raises:
            ConfigError: `address` is malformed.
            AgentUnreachableError: nothing answers there.
            CommandRefusedError: the agent refuses the version or the key.
            RemoteProtocolError: the program that answers does not speak Serf's IPC.
        """
        self._address = parse_agent_address(address)
        self._timeouts = timeouts
        self._conversation = ClientConversation()
        self._early: deque[Pushed] = deque(maxlen=MAX_EARLY_RECORDS)  # arrived while waiting for an answer
        self._socket = _connect(self._address, timeouts.connect)
        try:
            self._ask(Command.HANDSHAKE, Handshake(IPC_VERSION))
            if auth_key:
                self._ask(Command.AUTH, Auth(auth_key))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; the agent ends the subscriptions."""
        self._socket.close()

    @property
    def address(self) -> str:
        """The address at which the agent was reached."""
        return str(self._address)

    def members(self) -> tuple[Member, ...]:
        """Return all members that the agent knows."""
        return self._ask_for(MemberList, Command.MEMBERS).members

    def members_filtered(
        self, *, name: str = "", status: str = "", tags: Mapping[str, str] | None = None
    ) -> tuple[Member, ...]:
        """Return the members whose name, status and tags match these regular expressions as a whole.

        Raises:
            CommandRefusedError: the agent closed the connection, Serf's answer to a broken expression.
        """
        wanted = MemberFilter(name, status, tags or {})
        try:
            return self._ask_for(MemberList, Command.MEMBERS_FILTERED, wanted).members
        except AgentClosedError as error:
            if wanted == MemberFilter():
                raise
            raise CommandRefusedError(f"{error}, as it does when a regular expression is invalid") from None

    def stats(self) -> Mapping[str, Mapping[str, str]]:
        """Return the agent's counters and facts about itself: sections of named values."""
        return self._ask_for(Stats, Command.STATS).sections

    def coordinate(self, node: str) -> FoundCoordinate:
        """Return the network coordinate of the member `node`, if the agent knows it."""
        return self._ask_for(FoundCoordinate, Command.GET_COORDINATE, GetCoordinate(node))

    def join(self, addresses: Sequence[str], *, replay: bool = False) -> int:
        """Make the agent join through any of `addresses`; return how many answered."""
        return self._ask_for(JoinCount, Command.JOIN, Join(tuple(addresses), replay), slow=True).num

    def leave(self) -> None:
        """Make the agent leave the cluster and stop; returns when it has left."""
        self._ask(Command.LEAVE, slow=True)

    def force_leave(self, node: str, *, prune: bool = False) -> None:
        """Declare the failed member `node` to have left, or erase it (`prune`)."""
        self._ask(Command.FORCE_LEAVE, ForceLeave(node, prune), slow=True)

    def change_tags(self, tags: Mapping[str, str], *, delete: Sequence[str] = ()) -> None:
        """Delete some of the agent's own tags, then set `tags`; returns when the change has spread."""
        self._ask(Command.TAGS, TagChange(tags, tuple(delete)), slow=True)

    def send_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> None:
        """Send a user event to all members."""
        self._ask(Command.EVENT, SendEvent(name, payload, coalesce))

    def query(self, request: SendQuery) -> Iterator[QueryRecord]:
        """Ask the cluster; return acks and responses as they come, until the query is done."""
        return self._answers(self._ask(Command.QUERY, request).seq)

    def _answers(self, seq: int) -> Iterator[QueryRecord]:
        for pushed in self.records():
            if pushed.seq == seq and isinstance(pushed.record, QueryRecord):
                if pushed.record.type == "done":
                    return
                yield pushed.record
        raise AgentClosedError(f"agent at {self._address} closed the connection")

    def respond(self, number: int, payload: bytes) -> None:
        """Answer the query that a stream of this connection delivered as `number`."""
        self._ask(Command.RESPOND, SendResponse(number, payload))

    def change_key(self, command: Command, key: str = "") -> KeyReport:
        """Install, use or remove a key on all members, or list the keys (`Command.LIST_KEYS`).

        Raises:
            KeyChangeError: some members did not change it; the exception has the report.
        """
        body = None if command is Command.LIST_KEYS else KeyChange(key)
        response = self._ask(command, body, slow=True, checks=False)
        report = response.body or KeyReport()
        assert isinstance(report, KeyReport)  # RESPONSE_BODIES says so
        if response.error:
            raise KeyChangeError(response.error, report)
        return report

    def explain(self, node: str) -> Explanation:
        """Return the case of the member called `node`; not one of Serf's commands."""
        return self._ask_for(Explanation, Command.EXPLAIN, Explain(node))

    def examine(self) -> Diagnosis:
        """Make the agent look for faults around it; not one of Serf's commands."""
        return self._ask_for(Diagnosis, Command.DOCTOR, slow=True)

    def stream(self, events: str = "*") -> int:
        """Subscribe to events (a comma list such as ``member-join,user:deploy``); return the number."""
        return self._ask(Command.STREAM, StreamFilter(events)).seq

    def monitor(self, log_level: str = "INFO") -> int:
        """Subscribe to the agent's log lines, the latest ones first; return the subscription's number."""
        return self._ask(Command.MONITOR, MonitorLevel(log_level)).seq

    def stop(self, subscription: int) -> None:
        """End a subscription; records already on their way may still arrive."""
        self._ask(Command.STOP, Stop(subscription))

    def records(self) -> Iterator[Pushed]:
        """Yield the records of all subscriptions as they come; end when the agent closes the connection."""
        while True:
            while self._early:
                yield self._early.popleft()
            event = self._conversation.next_event()
            if isinstance(event, Pushed):
                yield event
            elif event is not None:
                raise RemoteProtocolError(f"unexpected answer to request {event.seq}")
            elif not self._receive(None):
                return

    def _ask_for(
        self, kind: type[Body], command: Command, body: RequestBody | None = None, *, slow: bool = False
    ) -> Body:
        answer = self._ask(command, body, slow=slow).body
        assert isinstance(answer, kind)  # RESPONSE_BODIES says so
        return answer

    def _ask(
        self, command: Command, body: RequestBody | None = None, *, slow: bool = False, checks: bool = True
    ) -> Response:
        seq, request = self._conversation.send(command, body)
        self._write(request)
        limit = None if slow else self._timeouts.answer
        response = self._wait_for(seq, None if limit is None else time.monotonic() + limit)
        if response.error and checks:
            raise CommandRefusedError(response.error)
        return response

    def _wait_for(self, seq: int, deadline: float | None) -> Response:
        while True:
            event = self._conversation.next_event()
            if isinstance(event, Response):
                if event.seq == seq:
                    return event
                raise RemoteProtocolError(f"unexpected answer to request {event.seq}")
            if event is not None:
                self._early.append(event)
            elif not self._receive(deadline):
                raise AgentClosedError(f"agent at {self._address} closed the connection")

    def _write(self, data: bytes) -> None:
        self._socket.settimeout(self._timeouts.write)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._broken(error) from None

    def _receive(self, deadline: float | None) -> bool:
        """Feed bytes from the agent; False when it has closed the connection."""
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            raise self._broken(TimeoutError())
        self._socket.settimeout(remaining)
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except OSError as error:
            raise self._broken(error) from None
        self._conversation.receive_data(data)
        return bool(data)

    def _broken(self, error: OSError) -> AgentUnreachableError:
        if isinstance(error, TimeoutError):
            return AgentUnreachableError(f"agent at {self._address} does not answer")
        return AgentUnreachableError(f"lost the agent at {self._address}: {_reason(error)}")


def _connect(address: AgentAddress, timeout: float) -> socket.socket:
    try:
        if isinstance(address, UnixAddress):
            return _connect_socket(socket.AF_UNIX, address.path, timeout)
        if _is_ipv4(address.host):
            # Resolving it would import the IDNA codec, a twentieth of a short command's time.
            return _connect_socket(socket.AF_INET, (address.host, address.port), timeout)
        return socket.create_connection((address.host or "localhost", address.port), timeout)
    except TimeoutError:
        raise AgentUnreachableError(
            f"cannot reach an agent at {address}: no answer in {timeout:g} s"
        ) from None
    except (OSError, UnicodeError) as error:
        raise AgentUnreachableError(f"cannot reach an agent at {address}: {_reason(error)}") from None


def _connect_socket(family: socket.AddressFamily, to: str | tuple[str, int], timeout: float) -> socket.socket:
    connection = socket.socket(family)
    try:
        connection.settimeout(timeout)
        connection.connect(to)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ipv4(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, UnicodeError):
        return False
    return True


def _reason(error: OSError | UnicodeError) -> str:
    """Return the system's text without its number, in lower case."""
    number = getattr(error, "errno", None)
    text = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)
    return text.lower()
