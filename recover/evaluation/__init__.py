"""Models are asked, judged and counted; answers and verdicts are kept in files."""
