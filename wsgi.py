"""What gunicorn loads: `gunicorn wsgi:app`."""

import sys

from app import create_app
from app.errors import ToolkitError

try:
    app = create_app()
except ToolkitError as error:
    sys.exit(error.message)
