"""Tables at any moment, one file each: from a part of the columns, or from a few facts."""
