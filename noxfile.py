"""The matrix: ``nox -s lint``, ``nox -s types``, ``nox -s tests`` (every Python with every openai).

``nox -s lowest`` runs the tests with the lowest version of every dependency that pyproject.toml allows.

``nox -s frameworks`` runs what stands beside or above openai, each in an environment of its own;
``nox -s "frameworks(litellm)"`` one of them. ``nox -s requesty`` runs one program with the vendor's SDK and with ours.
"""

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests", "lowest"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
OPENAIS = {"1.55": "openai==1.55.3", "1": "openai>=1.55.3,<2", "2": "openai>=2,<3", "3": "openai>=3,<4"}

BESIDE = {
    "opentelemetry": [
        "opentelemetry-instrumentation-openai-v2>=2.4b0,<3",
        "opentelemetry-util-genai>=1.0b0,<1.2b0",  # 1.2 lacks a module that the former imports
        "opentelemetry-sdk>=1.40,<2",
    ],
    "openllmetry": ["opentelemetry-instrumentation-openai>=0.60,<1", "opentelemetry-sdk>=1.40,<2"],
    "openinference": ["openinference-instrumentation-openai>=0.1.60,<0.2", "opentelemetry-sdk>=1.40,<2"],
    "logfire": ["logfire>=5,<6"],
    "langfuse": ["langfuse>=5,<6"],
    "sentry": ["sentry-sdk>=2.70,<3"],
}
ABOVE = {
    "litellm": ["litellm>=1.100,<2", "mcp>=1.20"],
    "langchain": ["langchain-openai>=1.7,<2"],
    "instructor": ["instructor>=1.17,<2"],
    "pydantic_ai": ["pydantic-ai-slim[openai]>=2.60,<3"],
    "llama_index": ["llama-index-llms-openai>=0.8,<0.9"],
    "openai_agents": ["openai-agents>=0.24,<0.25"],
}


def install(session: nox.Session, *groups: str) -> None:
    session.install("--quiet", "--upgrade", "pip>=25.1")
    session.install(
        "--quiet", "--editable", ".[clickhouse]", *(word for group in groups for word in ("--group", group))
    )


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports")


@nox.session(python="3.11")
def types(session: nox.Session) -> None:
    install(session, "types")
    session.run("mypy")
    session.run("pyright")


@nox.session(python=PYTHONS)
@nox.parametrize("openai", list(OPENAIS))
def tests(session: nox.Session, openai: str) -> None:
    install(session, "test")
    session.install("--quiet", OPENAIS[openai])
    session.run("python", "-c", "import openai; print('openai', openai.__version__)")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    install(session, "test")
    dependencies = nox.project.load_toml("pyproject.toml")["project"]["dependencies"]
    session.install("--quiet", *(dependency.replace(">=", "==") for dependency in dependencies))
    session.run("python", "-m", "pip", "check", success_codes=[0, 1])  # names tools of the tests that want newer ones
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def requesty(session: nox.Session) -> None:
    """Run one program with the vendor's SDK and with ours, and send a body of the former to our endpoint."""
    install(session, "test")
    session.install("--quiet", "requestyai==0.3.5")  # with the old openai and httpx that it needs
    session.run("pytest", "tests/e2e/test_requesty_program.py", "tests/server/test_api_columns.py", *session.posargs)


@nox.session(python="3.11")
@nox.parametrize("framework", [nox.param(name, id=name) for name in (*BESIDE, *ABOVE)])
def frameworks(session: nox.Session, framework: str) -> None:
    session.install("--quiet", "--upgrade", "pip>=25.1")
    packages = BESIDE.get(framework) or ABOVE[framework]
    session.install(
        "--quiet", "--editable", ".[clickhouse]", "--group", "test", *packages
    )  # as one: all must fit together
    session.run("python", "-m", "pip", "check")
    session.run("python", "tests/frameworks/versions.py", *packages)
    place = "beside" if framework in BESIDE else "above"
    session.run("pytest", f"tests/frameworks/test_{place}.py", f"--framework={framework}", *session.posargs)
