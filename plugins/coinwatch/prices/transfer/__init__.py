"""Prices in and out: import, export, restore, file formats."""
