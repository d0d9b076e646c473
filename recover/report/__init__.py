"""A result as tables, plots, Markdown, HTML and a page of answers."""
