"""The environment's proxies: http_proxy, https_proxy, all_proxy and no_proxy."""

from __future__ import annotations

from base64 import b64encode
from urllib.request import getproxies, proxy_bypass

import httpx2

from tau2_enhanced.errors import UserMistake

PORTS = {"http": 80, "https": 443}


def environment_proxy(url: httpx2.URL) -> httpx2.Proxy | None:
    """The proxy for an address, as urllib reads the environment. Raises UserMistake for one that can't be used."""
    proxies = getproxies()
    given = proxies.get(url.scheme) or proxies.get("all")
    if not given or proxy_bypass(f"{url.host}:{port(url)}"):
        return None
    try:
        proxy = httpx2.Proxy(given if "://" in given else f"http://{given}")
    except (ValueError, httpx2.InvalidURL):
        proxy = None
    if proxy is None or proxy.url.scheme not in PORTS:
        raise UserMistake(
            f"the environment's proxy for {url.scheme} can't be used: only http:// and https:// proxies are supported"
        )
    return proxy


def authorization(proxy: httpx2.Proxy) -> dict[str, str]:
    """The header by which a proxy knows who asks; none where its address names no user."""
    if proxy.raw_auth is None:
        return {}
    return {"proxy-authorization": f"Basic {b64encode(b':'.join(proxy.raw_auth)).decode()}"}


def port(url: httpx2.URL) -> int:
    return url.port or PORTS[url.scheme]
