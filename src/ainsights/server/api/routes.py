"""The routes: which URL, which parameters, which role, which answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import PathConvertor, register_url_convertor

from ainsights.server import problems
from ainsights.server.api import administration, analysis, answers, erasure, events, parameters
from ainsights.server.api.export import FORMATS, export
from ainsights.server.api.stream import Streams
from ainsights.server.keys import NamedKey  # noqa: TC001  FastAPI reads the annotation
from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights.server.api.parameters import Asked
    from ainsights.server.api.service import Service
    from ainsights.server.keys.dependency import KeyDependency

_ERRORS = (401, 403, 422, 429, 500, 503)
_LINES = {"schema": {"type": "string"}}


class _Text(PathConvertor):
    """The rest of a path, line breaks included: users and ids can be any text."""

    regex = r"[\s\S]*"


register_url_convertor("text", _Text())


def add_routes(api: FastAPI, service: Service, reader: KeyDependency, admin: KeyDependency) -> None:
    """Add every route that reads or erases.

    Args:
        api: the application.
        service: what answers.
        reader: lets keys pass that may read.
        admin: lets keys pass that may erase.
    """
    streams = Streams()
    reading = APIRouter(dependencies=[Depends(reader)])
    _add_stream(reading, service, streams)
    _add_export(reading, service)
    _add_events(reading, service)
    _add_analysis(reading, service)
    _add_status(reading, service, streams)
    api.include_router(reading)
    _add_erasure(api, service, admin)
    _add_administration(api, service, admin)


def _answers(model: Any, *more: int, media_types: tuple[str, ...] = ()) -> dict[int | str, dict[str, Any]]:
    good: dict[str, Any] = {"model": model} if model else {"content": dict.fromkeys(media_types, _LINES)}
    return {200: good, **problems.documented(*sorted({*_ERRORS, *more}))}


def _read(request: Request, *taken: str) -> Asked:
    return parameters.read(request.query_params.multi_items(), taken)


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _add_events(router: APIRouter, service: Service) -> None:
    @router.get("/insights", responses=_answers(answers.EventList), openapi_extra=parameters.document(*events.TAKEN))
    async def list_insights(request: Request) -> Response:
        """List events, newest first or in another order, in pages that stay as they are while events arrive."""
        return _json(await service.query(events.list_events, service, _read(request, *events.TAKEN)))

    @router.get(
        "/insights/{event_id:text}",
        responses=_answers(answers.OneEvent, 404),
        openapi_extra=parameters.document("order"),
    )
    async def get_insight(event_id: str, request: Request) -> Response:
        """Return one event, and its neighbors in the list that the parameters describe."""
        return _json(await service.query(events.one_event, service, event_id, _read(request, "order")))


def _add_analysis(router: APIRouter, service: Service) -> None:
    def add(path: str, work: Callable[[Service, Asked], bytes], model: Any, about: str, *taken: str) -> None:
        async def answer(request: Request) -> Response:
            return _json(await service.query(work, service, _read(request, *taken)))

        router.get(
            path,
            name=path[1:],
            description=about,
            responses=_answers(model),
            openapi_extra=parameters.document(*taken),
        )(answer)

    measured = ("query", "show", "by", "order", "limit")
    add("/query", analysis.query, answers.TableAnswer, "Measure events, in groups.", *measured)
    facets = dict[str, list[answers.FacetModel]]  # type: ignore[valid-type]
    add("/facets", analysis.facets, facets, "Count the values of fields.", "field", "limit")
    repeated = answers.Texts
    add("/questions", analysis.texts("questions"), repeated, "List the most frequent last user messages.", "limit")
    add("/messages", analysis.texts("messages"), repeated, "List the messages that most events contain.", "limit")
    add("/urls", analysis.texts("urls"), repeated, "List the URLs that most events mention.", "limit")
    add("/words", analysis.words, answers.WordsAnswer, "Count words in a sample of the newest events.", "limit")
    add("/templates", analysis.templates, answers.Templates, "List the most frequent prompt templates.", "limit")
    add("/conversations", analysis.conversations, answers.ConversationList, "List conversations.", "limit", "cursor")

    @router.get(
        "/conversations/{conversation_id:text}", responses=_answers(answers.EventList, 404), openapi_extra=_plain()
    )
    async def get_conversation(conversation_id: str, request: Request) -> Response:
        """Return the events of one conversation, oldest first, a thousand at the most."""
        _read_plain(request)
        return _json(await service.query(events.conversation, service, conversation_id))

    @router.get("/users/{user_id:text}", responses=_answers(answers.UserModel, 404), openapi_extra=_plain())
    async def get_user(user_id: str, request: Request) -> Response:
        """Return what is known of a user."""
        _read_plain(request)
        return _json(await service.query(analysis.user, service, user_id))


def _plain(*taken: str) -> dict[str, Any]:
    return parameters.document(*taken, with_filter=False)


def _read_plain(request: Request, *taken: str) -> Asked:
    return parameters.read_plain(request.query_params.multi_items(), taken)


def _add_stream(router: APIRouter, service: Service, streams: Streams) -> None:
    @router.get(
        "/insights/stream",
        responses=_answers(None, media_types=("text/event-stream",)),
        openapi_extra=parameters.document(),
        response_class=Response,
    )
    async def stream_insights(
        request: Request, last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None
    ) -> Response:
        """Send events within the filter as they are stored, as server-sent events."""
        started = streams.start(service, _read(request).query.filter, last_event_id)
        return StreamingResponse(started, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _add_export(router: APIRouter, service: Service) -> None:
    @router.get(
        "/export",
        responses=_answers(None, media_types=("application/x-ndjson", "text/csv")),
        openapi_extra=parameters.document("format"),
        response_class=Response,
    )
    async def export_insights(request: Request) -> Response:
        """Write every event within the filter as JSON lines with bodies, or as CSV."""
        asked = _read(request, "format")
        form = FORMATS.get(asked.other("format", "jsonl"))
        if form is None:
            raise Problem(422, f"format is one of {', '.join(FORMATS)}", parameter="format")
        await service.query(service.engine.seqs, asked.query.filter, 0, 1)  # errors come before the answer begins
        return StreamingResponse(export(service, asked.query.filter, form), media_type=form.media_type)


def _add_status(router: APIRouter, service: Service, streams: Streams) -> None:
    @router.get("/status", responses=_answers(administration.Status), openapi_extra=_plain())
    async def status(request: Request) -> Response:
        """Return how the endpoint is: store, index and its lag, disk, version."""
        _read_plain(request)
        return _json(await service.query(administration.status, service, streams.open))


def _add_erasure(api: FastAPI, service: Service, admin: KeyDependency) -> None:
    erased = {"type": "object", "properties": {"erased": {"type": "integer"}}, "required": ["erased"]}
    good: dict[int | str, dict[str, Any]] = {
        200: {"description": "How many were erased.", "content": {"application/json": {"schema": erased}}}
    }

    async def erase(
        work: Callable[[Service, str, str, str], bytes], name: str, key: NamedKey, request: Request
    ) -> Response:
        reason = erasure.check_reason(_read_plain(request, "reason").other("reason"))
        return _json(await service.task(partial(work, service, name, key.name, reason)))

    # as a default: FastAPI would have to resolve an annotation that names a local
    @api.delete("/insights/{event_id:text}", responses={**_answers(None, 404), **good}, openapi_extra=_plain("reason"))
    async def erase_insight(event_id: str, request: Request, key: NamedKey = Depends(admin)) -> Response:  # noqa: B008, FAST002
        """Erase one event, at once and for good."""
        return await erase(erasure.erase_event, event_id, key, request)

    @api.delete("/users/{user_id:text}", responses={**_answers(None), **good}, openapi_extra=_plain("reason"))
    async def erase_user(user_id: str, request: Request, key: NamedKey = Depends(admin)) -> Response:  # noqa: B008, FAST002
        """Erase every event of a user that is stored now, at once and for good."""
        return await erase(erasure.erase_user, user_id, key, request)


def _add_administration(api: FastAPI, service: Service, admin: KeyDependency) -> None:
    router = APIRouter(dependencies=[Depends(admin)])

    @router.get(
        "/verify",
        responses={
            **_answers(None, media_types=("application/x-ndjson",)),
            200: {
                "description": "Lines of progress, then what was found.",
                "content": {"application/x-ndjson": _LINES},
            },
        },
        openapi_extra=_plain("entries", "head"),
        response_class=Response,
    )
    async def verify(request: Request) -> Response:
        """Prove that no event was changed, added or removed since it was stored, or name the first that was."""
        noted = administration.anchor(_read_plain(request, "entries", "head"))
        return StreamingResponse(administration.verify(service, noted), media_type="application/x-ndjson")

    @router.get("/accesses", responses=_answers(administration.AccessList), openapi_extra=_plain("before", "limit"))
    async def accesses(request: Request) -> Response:
        """Return the access log: which key read or erased what, latest first."""
        return _json(await service.query(administration.accesses, service, _read_plain(request, "before", "limit")))

    api.include_router(router)
