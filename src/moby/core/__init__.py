"""What a thing is: types, one role Protocol a file, errors. No I/O, no task, no thread."""
