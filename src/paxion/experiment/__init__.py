"""Experiments: one declarative file, the commands that it stands for, and the tables of what they measured."""
