"""What a worker says to the program log."""


def say(text: str) -> None:
    """Print a line, and no more than one: a job's description is what somebody wrote."""
    print("".join(character if character.isprintable() else "?" for character in text), flush=True)
