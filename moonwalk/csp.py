"""Content-Security-Policy: which scripts, styles and addresses a page may use.

Shaped like the SECURE_CSP setting of Django 6, so that a move there is a change of settings and drops this file.
"""

from django.conf import settings

ADMIN_PREFIX = "/admin/"


def policy(directives: dict[str, list[str]]) -> str:
    """{"script-src": ["'self'", ...]} -> the value of the header."""
    return "; ".join(f"{name} {' '.join(values)}".strip() for name, values in directives.items())


class ContentSecurityPolicyMiddleware:
    """Sets the header on every response; the admin has a policy of its own, and so has a response that carries one
    (`_csp_config`, as Django 6's csp_override sets it)."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.policy = policy(settings.SECURE_CSP)
        self.admin_policy = policy(settings.SECURE_CSP_ADMIN)

    def __call__(self, request):
        response = self.get_response(request)
        chosen = self.admin_policy if request.path.startswith(ADMIN_PREFIX) else self.policy
        if own := getattr(response, "_csp_config", None):
            chosen = policy(own)
        response.headers.setdefault("Content-Security-Policy", chosen)
        return response
