"""Stories: Markdown files whose `console` blocks are commands with the output they must give."""
