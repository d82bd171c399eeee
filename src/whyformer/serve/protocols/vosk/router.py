"""Addresses of the Vosk dialect."""

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from whyformer.serve.listening.hall import ListeningHall
from whyformer.serve.listening.room import ListeningRoom
from whyformer.serve.protocols.vosk.closing import farewell_of
from whyformer.serve.protocols.vosk.conversation import Conversation
from whyformer.serve.protocols.vosk.dialog import Dialog
from whyformer.serve.protocols.vosk.replies import refusal_reply
from whyformer.serve.refusals import RefusalError
from whyformer.serve.service import Service

_TASK = "speech"


def vosk_router(service: Service, hall: ListeningHall | None = None) -> APIRouter:
    """The routes ``/``, ``/vosk`` and ``/vosk/{run}``, all WebSockets.

    Args:
        service: with the runs; an address without a name means the first that recognises speech.
        hall: places of the clients; whoever ends the service drains it. One of its own if None.
    """
    router, there = APIRouter(), ListeningHall() if hall is None else hall

    async def listen(websocket: WebSocket, run: str | None = None) -> None:
        def find(name: str | None) -> ListeningRoom:
            return there.room(service.find(name or run, _TASK))

        await websocket.accept()
        try:
            with there.place():
                await Conversation(websocket, there, Dialog(there, find)).hold()
        except RefusalError as refusal:
            farewell = farewell_of(refusal)
            try:
                await websocket.send_text(refusal_reply(str(refusal)))
                await websocket.close(farewell.code, farewell.reason)
            except WebSocketDisconnect:
                pass  # it did not wait for the answer

    for path in ("/", "/vosk", "/vosk/{run}"):
        router.add_api_websocket_route(path, listen)
    return router
