"""The prompt sets that ship with recover-align. See DATASHEET.md beside this file."""
