"""The pages that the service shows in a browser; everything they load comes from the service itself."""

from flask import Blueprint, Response, make_response, redirect, render_template, url_for

pages = Blueprint("pages", __name__, static_folder="static", static_url_path="/static", template_folder="templates")

# Swagger UI writes style attributes and draws its icons from data URLs; scripts come from files only.
CONTENT_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


@pages.get("/")
def show_start() -> Response:
    """Lead a person who typed the address of the service to its documentation."""
    return make_response(redirect(url_for("pages.show_documentation")))


@pages.get("/backend/docs")
def show_documentation() -> Response:
    """Show every operation of the API, with a form to try it."""
    page = make_response(render_template("documentation.html"))
    page.headers["Content-Security-Policy"] = CONTENT_POLICY
    return page
