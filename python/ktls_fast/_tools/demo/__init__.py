"""The demo: a proxy of ours between clients and an upstream that know nothing of it."""

from .run import run

__all__ = ["run"]
