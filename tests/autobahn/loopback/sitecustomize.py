"""The suite's server listens on every address; here on loopback alone. Python 2.7 reads this when it starts."""

from twisted.internet import tcp

_init = tcp.Port.__init__


def _on_loopback(self, port, factory, backlog=50, interface="", reactor=None):
    _init(self, port, factory, backlog, interface or "127.0.0.1", reactor)


tcp.Port.__init__ = _on_loopback
