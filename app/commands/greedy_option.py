"""An option that takes all words up to the next option, which click's own do not."""

from collections.abc import Sequence
from typing import Any

import click

OWN, OPTION, FLAG, VALUE = "own", "option", "flag", "value"


class GreedyCommand(click.Command):
    """A command on a text and images, with one option whose flag takes a word for each image.

    `--masks a b` is read as `--masks a --masks b`, up to the next option or `--`. Where the images do not stand
    elsewhere, as in `--masks a b TEXT_FILE c d`, its words are as many values as there then are images.
    """

    def __init__(self, *args: Any, greedy: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._greedy = greedy

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Repeat the flag before each of its words, then let click read."""
        options = [option for option in self.get_params(context) if isinstance(option, click.Option)]
        valued = {name for option in options if not option.is_flag for name in option.opts}
        return super().parse_args(context, spread(args, self._greedy, valued))


def spread(words: Sequence[str], flag: str, valued: set[str]) -> list[str]:
    """Return the words of a command line with the flag before each of its values.

    Args:
        words: of the command line.
        flag: the greedy one.
        valued: the options that take a word, or several.
    """
    roles = _roles(words, flag, valued)
    values = [index for index, role in enumerate(roles) if role == VALUE]
    own_count = roles.count(OWN)
    # The text and an image for each value have to be there: so many of the last flag's words are the command's own.
    surplus, is_odd = divmod(len(values) - own_count + 1, 2)
    if own_count <= 1 and surplus > 0 and not is_odd and roles[values[-surplus] - 1] == VALUE:
        values = values[:-surplus]
    flagged = [word for index in values for word in (flag, words[index])]
    others = [word for index, word in enumerate(words) if index not in values and roles[index] != FLAG]
    is_lacking = FLAG in roles and not values
    return [*flagged, *others, *([flag] if is_lacking else [])]


def _roles(words: Sequence[str], flag: str, valued: set[str]) -> list[str]:
    roles: list[str] = []
    role = OWN
    is_value_of_option = False
    for index, word in enumerate(words):
        if word == "--":
            return [*roles, OPTION, *([OWN] * (len(words) - index - 1))]
        if is_value_of_option:
            roles.append(OPTION)
            is_value_of_option = False
        elif word == flag:
            roles.append(FLAG)
            role = VALUE
        elif word.startswith("-") and word != "-":
            roles.append(OPTION)
            role = OWN
            is_value_of_option = word in valued
        else:
            roles.append(role)
    return roles
