"""The demo: a proxy of this package between independent clients and an upstream server."""

from .run import run

__all__ = ["run"]
