"""What a batch is made of: problems from files and from the Hub, in whatever format, and why a record was refused."""
