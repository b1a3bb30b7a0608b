"""What it means: facts folded into standings, with every why."""
