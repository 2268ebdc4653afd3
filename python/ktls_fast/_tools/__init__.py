"""The programs behind the command ``ktls-fast``; nothing here is API."""
