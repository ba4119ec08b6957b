"""The doors to the machine we run on; foreign client libraries stop here."""
