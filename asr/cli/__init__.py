"""The command line: parse, call the library, print. One module a verb, no logic."""
