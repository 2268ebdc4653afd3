"""An OffloadQueue as the device of KtlsSockets: same bytes, same errors, other threads."""
