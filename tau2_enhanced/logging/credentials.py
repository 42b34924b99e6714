"""Credentials in a text, by the detectors of detect-secrets (https://github.com/Yelp/detect-secrets).

Its detectors for the forms of single providers are used, as plain functions on texts: nothing is verified
over the network, no settings or baselines are read. The ones that guess, by entropy or by a variable's name,
are left out: ids of orders and reservations have as much entropy. So is the one for OpenAI's keys: `sk-…` is
known anyway, and its pattern takes time by the square of a text's length. They are loaded with the first text that
could hold a credential at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from tau2_enhanced.logging.redaction import FORM_MARKS, FORMS

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

_DETECTORS = {
    "artifactory": "ArtifactoryDetector",
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "cloudant": "CloudantDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "ibm_cloud_iam": "IbmCloudIamDetector",
    "ibm_cos_hmac": "IbmCosHmacDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "softlayer": "SoftlayerDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
"""Modules of `detect_secrets.plugins`, and the detector in each."""

_COULD_BE = re.compile(r"[\w.:/+=-]{20}|PRIVATE KEY")
"""Every credential that a detector knows has so many characters in a row, or is a private key."""
_FORM = re.compile(FORMS)
_REST = re.compile(r"[\w.+/=~-]*")
_KEY_BLOCK = re.compile(r".*?-----END[A-Z0-9 ]*-----|.*", re.DOTALL)


@cache
def _detectors() -> tuple[RegexBasedDetector, ...]:
    return tuple(getattr(import_module(f"detect_secrets.plugins.{name}"), cls)() for name, cls in _DETECTORS.items())


def credentials(text: str) -> Iterator[tuple[int, int]]:
    """Where credentials stand in `text`: start and end of each; some may overlap."""
    if any(mark in text for mark in FORM_MARKS):
        for found in _FORM.finditer(text):
            yield found.span()
    if _COULD_BE.search(text) is None:
        return
    for detector in _detectors():
        for pattern in detector.denylist:
            for found in pattern.finditer(text):
                # a detector may look closer than its patterns do
                if any(detector.analyze_string(found[0])):
                    yield found.start(), _end(text, found)


def _end(text: str, found: re.Match[str]) -> int:
    """Where the credential ends: some patterns know only how one begins."""
    rest = _KEY_BLOCK if "PRIVATE KEY" in found[0] else _REST
    further = rest.match(text, found.end())
    return further.end() if further else found.end()
