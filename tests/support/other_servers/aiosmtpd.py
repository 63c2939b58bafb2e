"""One test's aiosmtpd: python3 aiosmtpd.py DIRECTORY IMPLICIT-PORT STARTTLS-PORT USER, the password in PASSWORD."""

import os
import ssl
import sys
import threading
import uuid

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

directory, implicit, starttls, user = sys.argv[1:]
password = os.environ["PASSWORD"]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(f"{directory}/certificate.pem", f"{directory}/key.pem")


def authenticate(_server, _session, _envelope, _mechanism, shown):
    right = LoginPassword(user.encode(), password.encode())
    # "handled" would mean that the answer has been given here.
    return AuthResult(success=isinstance(shown, LoginPassword) and shown == right, handled=False)


class Maildir:
    """Keeps each message, and on top of it who the recipients of the transaction were."""

    async def handle_DATA(self, _server, _session, envelope):
        name = uuid.uuid4().hex
        with open(f"{directory}/{name}", "wb") as file:
            file.write(f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n".encode())
            file.write(envelope.content)
        os.rename(f"{directory}/{name}", f"{directory}/mail/new/{name}")
        return "250 2.0.0 kept"


ways = {"authenticator": authenticate, "auth_required": True, "enable_SMTPUTF8": True, "hostname": "127.0.0.1"}
# It does not count TLS from the first byte as TLS.
Controller(Maildir(), port=int(implicit), ssl_context=tls, auth_require_tls=False, **ways).start()
Controller(Maildir(), port=int(starttls), tls_context=tls, require_starttls=True, **ways).start()
threading.Event().wait()
