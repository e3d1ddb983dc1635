"""The matrix: ``nox -s lint``, ``nox -s types``, ``nox -s tests`` (every Python with every openai)."""

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
OPENAIS = {"1.55": "openai==1.55.3", "1": "openai>=1.55.3,<2", "2": "openai>=2,<3", "3": "openai>=3,<4"}


def install(session: nox.Session, *groups: str) -> None:
    session.install("--quiet", "--upgrade", "pip>=25.1")
    session.install("--quiet", "--editable", ".[server]", *(word for group in groups for word in ("--group", group)))


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


@nox.session(python=PYTHONS)
@nox.parametrize("openai", list(OPENAIS))
def tests(session: nox.Session, openai: str) -> None:
    install(session, "test")
    session.install("--quiet", OPENAIS[openai])
    session.run("python", "-c", "import openai; print('openai', openai.__version__)")
    session.run("pytest", *session.posargs)
