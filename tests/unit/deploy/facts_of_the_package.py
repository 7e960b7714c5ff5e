"""Facts about azd, its hooks, the image and the templates as text. Each yields what is wrong."""

import re

from shared.admin.__main__ import SUBJECTS
from tests.unit.deploy.deployment_files import REPOSITORY

MODULE_LINES = 200
HOOKS = ("postprovision", "postdeploy")


def modules_are_small(files):
    for path in files.templates():
        most = 500 if path == "bicep/main.bicep" else MODULE_LINES
        if files.text(path).count("\n") >= most:
            yield f"{path}: {most} lines or more"


def parameters_are_described_and_typed(files):
    for path in files.templates():
        found = re.findall(r"((?:^@.*\n)*)^param (\w+) (\w+)", files.text(path), re.MULTILINE)
        for decorators, name, kind in found:
            if "@description(" not in decorators:
                yield f"{path}: {name} is not described"
            if kind in ("object", "array") and name != "tags":
                yield f"{path}: {name} is any {kind}"


def services_are_found(files):
    """azd finds an app by its tag, and the media gateway's template by the service's name."""
    project = files.yaml("azure.yaml")
    templates = "\n".join(map(files.text, files.templates()))
    tagged = set(re.findall(r"'azd-service-name': '(\w+)'", templates))
    if set(project["services"]) != tagged:
        yield "azure.yaml: services and tags differ"
    hosts = {name: service["host"] for name, service in project["services"].items()}
    if hosts != {"edge": "function", "media": "containerapp"}:
        yield "azure.yaml: hosts"
    if "docker" in project["services"]["edge"]:
        yield "azure.yaml: a function with docker is deployed as a container"
    if "media.bicep'" in files.text("bicep/main.bicep") or "image: image\n" not in files.text(
        "bicep/media.bicep"
    ):
        yield "the app is provided with an image of another time than it is deployed with"


def hooks_do_the_same_in_both_shells(files):
    for name in HOOKS:
        hook = files.yaml("azure.yaml")["hooks"][name]
        paths = hook["posix"]["run"], hook["windows"]["run"]
        if paths != (f"bicep/hooks/{name}.sh", f"bicep/hooks/{name}.ps1"):
            yield f"azure.yaml: {name} runs {paths}"
        if not (REPOSITORY / paths[0]).stat().st_mode & 0o100:
            yield f"{paths[0]} cannot be executed"
        done = [
            re.findall(r"-m bicep\.hooks\.deployment \w+|\bazd [^;\n]+\w", files.text(path)) for path in paths
        ]
        if done[0] != done[1] or not done[0]:
            yield f"{name}: the shells do different things"
        if "set -eu\n" not in files.text(paths[0]) or "$ErrorActionPreference = 'Stop'" not in files.text(
            paths[1]
        ):
            yield f"{name}: goes on after a fault"


def hooks_run_commands_that_are_there(files):
    subjects = {module.__name__.rpartition(".")[2]: module for module in SUBJECTS}
    for subject, command in re.findall(r'_admin\("(\w+)", "(\w+)"', files.text("bicep/hooks/deployment.py")):
        source = files.text(f"shared/admin/{subject}.py") if subject in subjects else ""
        if f'"{command}"' not in source:
            yield f"deployment.py: there is no command {subject} {command}"


def image_is_small_and_careful(files):
    text = files.text("Dockerfile")
    last = text.rpartition("\nFROM ")[2]
    if not re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE):
        yield "Dockerfile: it runs as root, or as a name that a platform cannot tell from root"
    if not re.search(r'^ENTRYPOINT \["python", "-m", "media_gateway"\]$', last, re.MULTILINE):
        yield "Dockerfile: a shell would stand between SIGTERM and the gateway"
    if re.search(r"^(?:RUN|ADD) ", last, re.MULTILINE):
        yield "Dockerfile: the final stage is more than what was built"
    if text.count("--only-binary :all:") != text.count("uv pip install"):
        yield "Dockerfile: something of others may be compiled"
    if "tools/compile.py /app" not in text:
        yield "Dockerfile: the path of every frame is not compiled"
    if "ARG BASE=" not in text or text.count("FROM ${BASE}") != 2:
        yield "Dockerfile: the base cannot be pinned by an argument"
    taken = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    admitted = set(re.findall(r"^!(.+)$", files.text(".dockerignore"), re.MULTILINE))
    for source in " ".join(taken).split():
        if source.removesuffix("/") not in admitted and not source.startswith("requirements"):
            yield f".dockerignore: leaves out {source}"
    if files.text(".dockerignore").split("\n")[1] != "*":
        yield ".dockerignore: the context is more than what the image takes"


def versions_are_one(files):
    python = re.search(r"name: 'python', version: '([\d.]+)'", files.text("bicep/modules/functions.bicep"))[1]
    if f"python:{python}-slim" not in files.text("Dockerfile"):
        yield "Dockerfile: another Python than the Functions app's"
    uv = re.search(r"^uv_version=(.+)$", files.text("tools/setup.sh"), re.MULTILINE)[1]
    if f"uv=={uv}" not in files.text("Dockerfile"):
        yield "Dockerfile: another uv than tools/setup.sh's"


def deployment_is_not_packed(files):
    ignored = set(files.text(".funcignore").split())
    yield from (
        f".funcignore: {name}" for name in ("bicep/", "azure.yaml", "Dockerfile") if name not in ignored
    )


def subscriptions_come_second(files):
    main = files.text("bicep/main.bicep")
    if "param subscribe bool = false" not in main:
        yield "main.bicep: a first run would ask an app that is not there"
    if "if (subscribe)" not in main.partition("\nmodule calls ")[2].partition("\n")[0]:
        yield "main.bicep: subscriptions do not wait for the second stage"
    if '"${SUBSCRIBE=false}"' not in files.text("bicep/main.parameters.json"):
        yield "main.parameters.json: the flag of the second stage"


def choices_are_documented(files):
    """Each variable that may be left out, and no other; and what the commands of the plain path name."""
    manual = files.text("docs/deploy.md")
    parameters = files.text("bicep/main.parameters.json") + files.text("bicep/media.parameters.json")
    choices = set(re.findall(r"\$\{(\w+)=", parameters)) - {"SUBSCRIBE", "EVENT_FILTERS"}
    choices |= set(re.findall(r'os\.environ\.get\("(\w+_FILE)"', files.text("bicep/hooks/deployment.py")))
    undocumented = {name for name in choices if f"`{name}`" not in manual}
    yield from (f"deploy.md: nothing of {name}" for name in sorted(undocumented))
    table = manual.partition("### Choices")[2].partition("\n## ")[0]
    unknown = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) - choices
    yield from (f"deploy.md: no template takes {name}" for name in sorted(unknown))
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", manual, re.DOTALL))
    plain = commands.partition("az deployment sub create")[2].partition("az role assignment")[0]
    outputs = set(re.findall(r"^output (\w+) ", files.text("bicep/main.bicep"), re.MULTILINE))
    given = set(re.findall(r"\b([A-Z_]+)=", commands))
    named = set(re.findall(r"\$\{?([A-Z_]+)", plain))
    yield from (f"deploy.md: nobody gives {name}" for name in sorted(named - outputs - given))
    required = set(re.findall(r"^param (\w+) [\w\[\]]+$", files.text("bicep/media.bicep"), re.MULTILINE))
    yield from (
        f"deploy.md: media.bicep lacks {name}" for name in sorted(required) if f"{name}=" not in plain
    )


FACTS = (
    modules_are_small,
    parameters_are_described_and_typed,
    services_are_found,
    hooks_do_the_same_in_both_shells,
    hooks_run_commands_that_are_there,
    image_is_small_and_careful,
    versions_are_one,
    deployment_is_not_packed,
    subscriptions_come_second,
    choices_are_documented,
)
