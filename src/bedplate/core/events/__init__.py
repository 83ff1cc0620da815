"""What happened: the record (`event`), how kinds are declared (`catalogue`), bedplate's own kinds (`kinds`)."""
