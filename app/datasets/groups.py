"""Which samples belong together: those of one patient."""

import re

from app.datasets.description import Description
from app.datasets.problems import nearest
from app.errors import InvalidInput

GROUP_NAME = re.compile(
    r"(patient|subject|person|participant|individual|case|donor|animal)"
    r"([ _.-]?(id|no|nr|num|number|name|code|key|uid|identifier))?|pid|mrn",
    re.IGNORECASE,
)


def group_feature(description: Description, group_by: str | None = None) -> str | None:
    """Return the feature that names patients: the given one, else one with a name such as `patient_id`.

    Raises:
        InvalidInput: for a given feature that the dataset does not have.
    """
    if group_by is None:
        return next((name for name in description.features if GROUP_NAME.fullmatch(name.strip())), None)
    if group_by not in description.features:
        hint = nearest(group_by, description.features)
        raise InvalidInput.at("group_by", f"group_by: the dataset has no feature {group_by[:80]!r}; {hint}")
    return group_by
