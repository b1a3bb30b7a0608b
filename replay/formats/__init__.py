"""Outputs as files for people and their programs, each with its receipt, and read back again."""
