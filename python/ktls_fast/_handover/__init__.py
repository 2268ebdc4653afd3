"""The hand-over of connections from OpenSSL to the engine."""
