"""What is measured: the functions, called as Lambda calls them, each in a process of its own."""
