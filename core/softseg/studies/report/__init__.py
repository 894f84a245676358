"""Tables, Markdown and the HTML page of what a study found."""
