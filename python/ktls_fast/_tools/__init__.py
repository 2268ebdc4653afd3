"""The implementation of the command ``ktls-fast``. Nothing in it is API."""
