"""flask-smorest's blueprint with this API's conventions: what every resource says in the same way."""

import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import request

from app.api.request_parser import RequestParser
from app.api.schemas.pages import PageSchema, wanted_page

View = Callable[..., Any]
PROCESS_QUERIES = ("get_status", "get_output")
PAGE_DOCUMENTATION = {
    "parameters": {"in": "query", "schema": PageSchema},
    "response": {422: HTTPStatus.UNPROCESSABLE_ENTITY.name},
}


class Blueprint(flask_smorest.Blueprint):
    """Document operations by the names, arguments and docstrings of their views."""

    ARGUMENTS_PARSER = RequestParser()

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view; its name becomes the id of its operation."""
        add = super().route(rule, **options)

        def register(view: View) -> View:
            codes = (401, 403, 404, 429, 503, 507) if "<" in rule else (401, 403, 429, 503, 507)
            return add(self.doc(operationId=view.__name__)(self.fails(*codes)(view)))

        return register

    def query(self, schema: type) -> Callable[[View], View]:
        """Pass the query parameters to the view as one dict; a lacking required one is answered with 400."""
        codes = [400] if any(field.required for field in schema().fields.values()) else []

        def decorate(view: View) -> View:
            return self.arguments(schema, location="query")(self.fails(*codes)(view))

        return decorate

    def body(
        self, schema: type, example: dict[str, Any], form: type | None = None, upload: type | None = None
    ) -> Callable[[View], View]:
        """Pass the body's fields to the view as one dict, sent as JSON or as a form.

        A schema with `is_body_optional` may be sent as no body at all.

        Args:
            schema: what is read.
            example: of a JSON body.
            form: documents the fields of a form, where they differ from those of JSON.
            upload: documents the fields of a multipart form that brings a file.
        """
        content = {"application/x-www-form-urlencoded": {"schema": form or schema}}
        content |= {"multipart/form-data": {"schema": upload}} if upload else {}

        def decorate(view: View) -> View:
            documented = self.doc(requestBody={"content": content})(self.fails(400, 413, 415)(view))
            is_required = not getattr(schema, "is_body_optional", False)
            return self.arguments(schema, location="json", example=example, required=is_required)(documented)

        return decorate

    def fails(self, *codes: int) -> Callable[[View], View]:
        """Document the errors that a view answers with, beside those that follow from its arguments."""

        def decorate(view: View) -> View:
            for code in codes:
                view = self.alt_response(int(code), HTTPStatus(code).name)(view)
            return view

        return decorate

    def starts_process(self, view: View) -> View:
        """Document that the `process_id` of the answer is what the operations on processes take."""
        address = "$response.body#/process_id"
        links = {name: {"operationId": name, "parameters": {"process_id": address}} for name in PROCESS_QUERIES}
        links["stop_process"] = {"operationId": "stop_process", "requestBody": {"process_id": address}}
        return self.doc(responses={201: {"links": links}})(view)

    def paged(self, view: View) -> View:
        """Answer one page of a view's list when the client asks for one, and the whole list otherwise."""

        @wraps(view)
        def answer_page(*args: Any, **kwargs: Any) -> Any:
            page, page_size = wanted_page(self.ARGUMENTS_PARSER.parse(PageSchema, request, location="query"))
            rows = view(*args, **kwargs)
            if page is None or page_size is None:
                return rows
            first = (page - 1) * page_size
            return rows[first : first + page_size], self.page_header(page, page_size, len(rows))

        answer_page._apidoc = {**getattr(view, "_apidoc", {}), "pagination": PAGE_DOCUMENTATION}  # type: ignore[attr-defined]
        return answer_page

    def page_header(self, page: int, page_size: int, row_count: int) -> dict[str, str]:
        """Return the header that tells where a page lies in its list."""
        place = self._make_pagination_metadata(page, page_size, row_count)
        return {self.PAGINATION_HEADER_NAME: json.dumps(place)}
