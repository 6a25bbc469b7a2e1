"""What the rows of the fault catalogue share: a ward with a ledger, faults on real processes, and the count afterwards."""
