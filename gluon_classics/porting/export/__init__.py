"""Write a network for other frameworks."""
