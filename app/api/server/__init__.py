"""How gunicorn receives requests and refuses them, named in gunicorn.conf.py; nothing here knows a resource."""
