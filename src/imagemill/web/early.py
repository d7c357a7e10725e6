"""Answers given where bytes arrive, before a parser sees them, to what `Connections.early` knows.

The parser stays where it was, between two messages; and so does all that counts or times requests being read. The timer
of an idle connection is not set anew at each answer: it looks, when it is due, for how long nothing was answered.
Source   uvicorn 0.54's ``HttpToolsProtocol``.
"""

from imagemill.web.taking import TakingProtocol


class EarlyProtocol(TakingProtocol):
    """One connection, where a request may be answered before it is parsed."""

    _answered_at_s = 0.0

    def answered_early(self, data: bytes) -> bool:
        """Answer *data*, which is all there is on this connection, if that can be done at once."""
        early = self.shared.early
        if early is None or self.flow.write_paused or self.shared.draining or self.transport.is_closing():
            return False
        answer = early(data, self.client[0] if self.client else "", self.server_state.default_headers)
        if answer is None:
            return False
        head, body = answer
        self.transport.writelines((head, body) if body else (head,))
        self.server_state.total_requests += 1
        self._answered(body)
        self._answered_at_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive_for(self.timeout_keep_alive)
        return True

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing came for its time, also nothing that was answered early."""
        left_s = self._answered_at_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._keep_alive_for(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
