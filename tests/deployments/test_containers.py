"""What containers are made from is well-formed; there is no container engine where this is checked."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from deployments.local.server_settings import SERVER_SETTINGS

REPOSITORY = Path(__file__).parents[2]
DEPLOYMENTS = REPOSITORY / "deployments"
KUBERNETES = DEPLOYMENTS / "kubernetes"
COMPOSE = cast("dict[str, Any]", yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text()))
TEMPLATE = cast("dict[str, Any]", json.loads((KUBERNETES / "base-job-template.json").read_text()))
SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|CONNECTION_STRING|AUTH|ENCRYPTION_KEY")


def tool(*command: str | Path) -> None:
    """Run a checker; what it says is the failure."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def rendered(value: Any) -> Any:
    """The job template with every variable at its default."""
    known = TEMPLATE["variables"]["properties"]
    if isinstance(value, dict):
        return {key: rendered(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [rendered(inner) for inner in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(r"\{\{ (\w+) \}\}", value):
        samples: dict[str, Any] = {"env": [], "labels": {}, "command": ["true"], "name": "export"}
        return samples[whole[1]] if whole[1] in samples else known[whole[1]]["default"]
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: str(known[found[1]].get("default", "export")), value)


def test_the_image_is_built_as_it_should() -> None:
    """Packages are checked by hash, nobody is root, entry points count from the working directory, health is asked."""
    lines = (DEPLOYMENTS / "Dockerfile").read_text()
    assert "--require-hashes" in lines
    assert re.search(r"^USER [1-9]\d*$", lines, re.MULTILINE)
    assert "HEALTHCHECK" in lines
    copied = set(re.findall(r"^COPY (\w+) \1$", lines, re.MULTILINE))
    assert copied == {"blocks", "tasks", "flows", "deployments"}
    assert not SECRET.search(lines)


def patterns() -> list[tuple[bool, re.Pattern[str]]]:
    """The lines of .dockerignore as (leaves out, expression), `*`, `?` and `**` as Docker reads them."""
    found: list[tuple[bool, re.Pattern[str]]] = []
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            expression = re.escape(line.removeprefix("!"))
            for glob, regex in ((r"\*\*/", "(?:.*/)?"), (r"\*", "[^/]*"), (r"\?", "[^/]")):
                expression = expression.replace(glob, regex)
            found.append((not line.startswith("!"), re.compile(f"{expression}(?:/.*)?")))
    return found


def is_sent(path: str) -> bool:
    """True if a file of the repository is part of the build context: the last pattern that matches decides."""
    return not [leaves_out for leaves_out, pattern in patterns() if pattern.fullmatch(path)][-1]


def tracked() -> set[str]:
    """Every file under version control."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "deployments/.env",
        "deployments/prod.env",
        "deployments/webhooks/.secrets/token",
        "deployments/tls.key",
        "webhooks.sqlite",
        ".git/config",
        ".itwin-export/client.env",
        "exports/a/ifc/Plant.ifc",
        "deployments/exports/Plant.ifc",
        "flows/__pycache__/export_ifc.cpython-311.pyc",
    ],
)
def test_private_and_generated_files_stay_out_of_the_image(path: str) -> None:
    """A file that holds secrets, or was made on this machine, is not sent to the builder of the image."""
    assert not is_sent(path)


def test_the_image_holds_exactly_what_it_needs() -> None:
    """Of the files under version control, the builder gets every one that the Dockerfile copies, and no other."""
    sent = {path for path in tracked() if is_sent(path)}
    rooms = {path for path in tracked() if path.startswith(("blocks/", "tasks/", "flows/", "deployments/"))}
    single = {"pyproject.toml", "requirements.txt", "requirements-dev.txt", "prefect.yaml", "README.md", "LICENSE"}
    pictures = {path for path in rooms if path.startswith("deployments/screenshots/")}
    assert sent == (rooms - pictures) | single


def test_services_wait_for_what_they_need() -> None:
    """Each service of ours runs the one image, and waits for something that tells its health or its end."""
    services = COMPOSE["services"]
    for name, service in services.items():
        for needed, condition in service.get("depends_on", {}).items():
            assert condition["condition"] in {"service_healthy", "service_completed_successfully"}, (name, needed)
        if "build" in service:
            assert (DEPLOYMENTS / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert services["server"]["environment"].keys() > services["worker"]["environment"].keys() & {"PREFECT_API_URL"}


def test_no_secret_is_written_down() -> None:
    """Every secret comes from the environment or by reference; ports are open on loopback only."""
    for name, service in COMPOSE["services"].items():
        for variable, value in service.get("environment", {}).items():
            assert not SECRET.search(variable) or "${" in value, (name, variable)
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    receiver = (KUBERNETES / "webhooks.yaml").read_text()
    assert "secretKeyRef" in receiver
    assert TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"][0]["envFrom"]


PASSWORDS = {
    "server": {"PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_ENCRYPTION_KEY", "PREFECT_REDIS_MESSAGING_PASSWORD"},
    "worker": {"PREFECT_API_AUTH_STRING", "ITWIN_CLIENT_SECRET"},
    "webhooks": {"PREFECT_API_AUTH_STRING", "ITWIN_WEBHOOK_SECRET"},
}


def test_services_hold_no_more_than_they_need() -> None:
    """In compose.yaml each service has its own passwords only, a read-only root and no capabilities."""
    for name, service in COMPOSE["services"].items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for name, needed in PASSWORDS.items():
        held = {variable for variable in COMPOSE["services"][name]["environment"] if SECRET.search(variable)}
        assert held - {"PREFECT_API_AUTH_STRING"} == needed - {"PREFECT_API_AUTH_STRING"}, name
        assert held >= needed, name
    reachable = {name: set(COMPOSE["services"][name]["networks"]) for name in COMPOSE["services"]}
    assert reachable["worker"] | reachable["webhooks"] == {"api"}
    assert reachable["redis"] | reachable["postgres"] == {"data"}
    assert COMPOSE["networks"]["data"]["internal"]


def test_pods_hold_no_more_than_they_need() -> None:
    """Our pods have a read-only root, no capabilities and no secret of others; databases lie on no shared volume."""
    documents = list(yaml.safe_load_all((KUBERNETES / "webhooks.yaml").read_text()))
    (receiver,) = [one["spec"]["template"]["spec"] for one in documents if one["kind"] == "Deployment"]
    job = TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    for pod in (receiver, job):
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert not pod["automountServiceAccountToken"]
    assert "itwin-exports" not in json.dumps(receiver)
    secrets = {variable["valueFrom"]["secretKeyRef"]["name"] for variable in receiver["containers"][0]["env"][1:]}
    assert secrets == {"prefect-api", "itwin-webhooks"}
    (shared,) = [mount for mount in job["containers"][0]["volumeMounts"] if mount["name"] == "exports"]
    assert shared["mountPath"].endswith("/exports")


def test_the_servers_of_kubernetes_have_passwords() -> None:
    """Server, worker and Redis take their passwords, and the key of the blocks, from Secrets."""
    server = yaml.safe_load((KUBERNETES / "server-values.yaml").read_text())
    worker = yaml.safe_load((KUBERNETES / "worker-values.yaml").read_text())
    assert server["server"]["basicAuth"] == {"enabled": True, "existingSecret": "prefect-server"}
    assert worker["worker"]["basicAuth"] == {"enabled": True, "existingSecret": "prefect-api"}
    assert server["redis"]["auth"]["existingSecret"] == "prefect-server"
    for pods in (server["server"], server["backgroundServices"]):
        assert [one["valueFrom"] for one in pods["env"] if one["name"] == "PREFECT_SERVER_ENCRYPTION_KEY"]


def test_leases_and_retention_are_set_everywhere() -> None:
    """Every arrangement with a server keeps leases outside the server's memory, and deletes old flow runs."""
    values = yaml.safe_load((KUBERNETES / "server-values.yaml").read_text())
    kubernetes = {variable["name"]: variable["value"] for variable in values["global"]["prefect"]["env"]}
    for settings in (SERVER_SETTINGS, COMPOSE["services"]["server"]["environment"], kubernetes):
        assert "memory" not in settings["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
        importlib.import_module(settings["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"])
        assert settings["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"] == "events,flow_runs"
    assert "--appendonly yes" in COMPOSE["services"]["redis"]["command"][-1]


def test_every_variable_of_the_job_template_is_declared() -> None:
    """The template uses no variable it does not declare, and declares none it does not use."""
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))
    assert used == TEMPLATE["variables"]["properties"].keys()


@pytest.mark.parametrize("service", ["server", "worker", "webhooks", "deploy", "recovery", "deliveries"])
def test_commands_of_services_exist(service: str) -> None:
    """A module that a service runs is part of this project."""
    command = " ".join(COMPOSE["services"][service].get("command", []))
    for module in re.findall(r"(?:-m,?) (deployments[\w.]*)", command):
        path = REPOSITORY / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_the_dockerfile_passes_hadolint() -> None:
    """Hadolint has nothing to say."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DEPLOYMENTS / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_follows_the_specification() -> None:
    """compose.yaml is valid by the schema of the Compose specification."""
    tool("-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOYMENTS / "compose.yaml")


def test_kubernetes_would_take_the_manifests(tmp_path: Path) -> None:
    """The manifests, and the job that the template renders, are valid by the schemas of Kubernetes."""
    job = tmp_path / "job.yaml"
    manifest = rendered(TEMPLATE["job_configuration"]["job_manifest"])
    manifest["metadata"]["name"] = manifest["metadata"].pop("generateName") + "1"  # the checker knows no other
    job.write_text(yaml.safe_dump(manifest))
    checker = Path(sys.executable).with_name("kubernetes-validate")
    names = ("storage", "webhooks", "recovery", "deliveries", "network-policies")
    manifests = [*(KUBERNETES / f"{name}.yaml" for name in names), job]
    done = subprocess.run([checker, "--strict", *manifests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
