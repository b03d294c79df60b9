"""Text for people: tables and sentences on a terminal, CSV for spreadsheets."""
