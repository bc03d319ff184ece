"""The report: tables for the terminal and one HTML page for people."""

from paxion.report.page import render_page, write_page
from paxion.report.sheets import Example, ExampleScore, choose_examples, contact_sheet
from paxion.report.table import main_table, print_table
from paxion.report.verdict import verdict

__all__ = [
    "Example",
    "ExampleScore",
    "choose_examples",
    "contact_sheet",
    "main_table",
    "print_table",
    "render_page",
    "verdict",
    "write_page",
]
