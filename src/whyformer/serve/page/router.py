"""Routes of the page: the document at ``/`` and its files, with headers that allow nothing else."""

from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response

from whyformer.serve.page.assets import ASSETS, Asset, page_assets

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        # The page has no icon, and says so by an empty one.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text may ever become markup or a program.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ANEW = "no-cache"
"""Cache-Control of the document: it is kept, but asked for each time whether it still holds."""
_FOR_GOOD = "public, max-age=31536000, immutable"
"""Cache-Control of files whose names change with them."""
_METHODS = ["GET", "HEAD"]


def page_router() -> APIRouter:
    """Return the routes of the page, whose programs ask the service's other routes."""
    router = APIRouter(include_in_schema=False)
    document, assets = page_assets()

    @router.api_route("/", methods=_METHODS)
    def index(request: Request) -> Response:
        return _sent(document, request, _ANEW)

    @router.api_route(f"/{ASSETS}/{{name}}", methods=_METHODS)
    def file(name: str, request: Request) -> Response:
        if name not in assets:
            raise HTTPException(404, "there is no such file; load the page anew.")
        return _sent(assets[name], request, _FOR_GOOD)

    return router


def _sent(asset: Asset, request: Request, cache: str) -> Response:
    """Return the asset, or only that the browser's copy still holds."""
    tag = f'"{asset.digest}"'
    headers = {**_HEADERS, "Cache-Control": cache, "ETag": tag}
    asked = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)
