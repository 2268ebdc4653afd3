"""Tests of an OffloadQueue as the device of KtlsSockets: same data and errors, other threads."""
