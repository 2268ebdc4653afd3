"""What more threads bring: several sealers at once, and one batch in parts."""
