"""Passes queries and responses between this agent and their listeners.

An observer of the driver. Queries that this agent sends are known by a token: responses go to the listener
of that query. Queries for this agent go to all registered respondents: event handlers, streams, and, for
those that agents answer by themselves, the keys.
"""

from collections.abc import Callable, Sequence

import trio

from gossip.agent.driver import Driver
from gossip.serf.effects import Effect, QueryAcked, QueryAnswered, QueryFinished, QueryReceived
from gossip.serf.queries import IncomingQuery, QueryRequest

Listener = Callable[[QueryAcked | QueryAnswered | QueryFinished], None]
Respondent = Callable[[IncomingQuery], None]


class QueryDesk:
    """Sends queries, and passes on their responses and the queries of others."""

    def __init__(self, driver: Driver) -> None:
        self.respondents: list[Respondent] = []  # for queries from users
        self.agents_own: list[Respondent] = []  # for queries whose names begin with ``_serf_``
        self._driver = driver
        self._listeners: dict[int, Listener] = {}
        self._early: list[QueryAcked | QueryAnswered] | None = None  # own responses, while sending

    def ask(self, request: QueryRequest, listener: Listener) -> int:
        """Send a query; `listener` gets every ack and answer, and finally its end. Return the token.

        Raises:
            LocalProtocolError: it is too long, or too many queries are running.
        """
        early: list[QueryAcked | QueryAnswered] = []
        self._early = early
        try:
            token = self._driver.apply(lambda node, now: node.query(request, now))
        finally:
            self._early = None
        self._listeners[token] = listener
        for effect in early:
            listener(effect)
        return token

    def forget(self, token: int) -> None:
        """Tell the listener of a query nothing more: its answers are no longer needed."""
        self._listeners.pop(token, None)

    def respond(self, query: IncomingQuery, payload: bytes) -> None:
        """Answer a query.

        Raises:
            LocalProtocolError: it was answered, its deadline has passed, or the answer is too long.
        """
        self._driver.apply(lambda node, now: node.respond(query, payload, now))

    async def collect(self, request: QueryRequest, most: int) -> list[QueryAnswered]:
        """Send a query and return its answers: when `most` have arrived, or the query has ended.

        Raises:
            LocalProtocolError: it is too long, or too many queries are running.
        """
        answers: list[QueryAnswered] = []
        done = trio.Event()

        def listen(effect: QueryAcked | QueryAnswered | QueryFinished) -> None:
            if isinstance(effect, QueryAnswered):
                answers.append(effect)
            if isinstance(effect, QueryFinished) or len(answers) >= most:
                done.set()

        token = self.ask(request, listen)
        try:
            await done.wait()
        finally:
            self.forget(token)
        return answers

    def observe(self, effects: Sequence[Effect], _now: float) -> None:
        """Process a batch of the node's effects."""
        for effect in effects:
            if isinstance(effect, QueryReceived):
                for respondent in self.agents_own if effect.query.is_internal else self.respondents:
                    respondent(effect.query)
            elif isinstance(effect, QueryAcked | QueryAnswered):
                self._tell(effect)
            elif isinstance(effect, QueryFinished) and (listener := self._listeners.pop(effect.token, None)):
                listener(effect)

    def _tell(self, effect: QueryAcked | QueryAnswered) -> None:
        listener = self._listeners.get(effect.token)
        if listener is not None:
            listener(effect)
        elif self._early is not None:
            self._early.append(effect)
