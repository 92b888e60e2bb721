"""Projects: what a person works on."""

from app.api.blueprint import Blueprint
from app.api.schemas.deletion import DeletionSchema
from app.api.schemas.projects import (
    PROJECT,
    NewProjectSchema,
    ProjectListChangeSchema,
    ProjectPathChangeSchema,
    ProjectSchema,
)
from app.api.services import services
from app.jobs.removal.cascade import delete_project_and_dependents
from app.jobs.removal.deletion import delete_project as delete
from app.jobs.request_checks import referenced
from app.repositories.selection import Selection

blueprint = Blueprint("projects", __name__, description="What a person works on")

NEW_PROJECT = {"name": "newProject", "task_id": 1}
CHANGED_PROJECT = {**PROJECT, "name": "newProjectName"}


@blueprint.get("/projects")
@blueprint.response(200, ProjectSchema(many=True), example=[PROJECT])
@blueprint.paged
def list_projects() -> Selection:
    """List the projects.

    Each has the weights and the inference that it made last.
    """
    return services().database.projects.select()


@blueprint.post("/projects")
@blueprint.body(NewProjectSchema, example=NEW_PROJECT)
@blueprint.response(201, ProjectSchema, example=PROJECT, headers={"Location": {"schema": {"type": "string"}}})
def create_project(body: dict) -> tuple[dict, dict]:
    """Create a project.

    The answer is the new project; its address is in the header `Location`.
    """
    check_references(body)
    project = services().database.projects.add(body)
    return project, {"Location": f"/backend/projects/{project['id']}"}


@blueprint.put("/projects")
@blueprint.body(ProjectListChangeSchema, example=CHANGED_PROJECT)
@blueprint.fails(404)
@blueprint.response(200, ProjectSchema(many=True), example=[CHANGED_PROJECT])
def change_project_in_list(body: dict) -> Selection:
    """Change the project whose id is in the body, and list all.

    As `PUT /projects/{project_id}`, but the answer is the list of all projects.
    """
    change(body.pop("id"), body)
    return services().database.projects.select()


@blueprint.get("/projects/<id:project_id>")
@blueprint.response(200, ProjectSchema, example=PROJECT)
def get_project(project_id: int) -> dict:
    """Read one project.

    It has the weights and the inference that it made last.
    """
    return services().database.projects.get(project_id)


@blueprint.put("/projects/<id:project_id>")
@blueprint.body(ProjectPathChangeSchema, example=CHANGED_PROJECT)
@blueprint.response(200, ProjectSchema, example=CHANGED_PROJECT)
def change_project(body: dict, project_id: int) -> dict:
    """Change a project.

    What is absent stays as it is; so do a null `modelweights_id` and a null `inference_id`.
    """
    return change(project_id, {name: value for name, value in body.items() if name != "id"})


@blueprint.delete("/projects/<id:project_id>")
@blueprint.query(DeletionSchema)
@blueprint.fails(409)
@blueprint.response(204)
def delete_project(query: dict, project_id: int) -> None:
    """Delete a project.

    Its weights stay. A project with a running process is kept: 409 names the process.
    With `cascade`, its weights and inferences, and what depends on those, go too; nothing
    goes while a process of one of them has not ended.
    """
    delete_all = delete_project_and_dependents if query["cascade"] else delete
    delete_all(services(), project_id)


def change(project_id: int, changes: dict) -> dict:
    """Change a project and return it; null stands for what the client does not know, and is kept."""
    services().database.projects.get(project_id)
    changes = {name: value for name, value in changes.items() if value is not None}
    check_references(changes)
    return services().database.projects.update(project_id, **changes)


def check_references(project: dict) -> None:
    """Make sure that every id in the project, those that are null excepted, refers to a record."""
    database = services().database
    for field, repository in (
        ("task_id", database.tasks),
        ("modelweights_id", database.weights),
        ("inference_id", database.inferences),
    ):
        if project.get(field) is not None:
            referenced(repository, project, field)
